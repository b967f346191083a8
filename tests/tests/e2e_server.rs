//! The network server goes, with its process, its Pod or its node: what lives on agents that are
//! still there lives on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Component, Counted, Counters, NODES, Release, ReleasePod, SOON, eventually, kill_in_pod,
    kubectl, measured, on_loaded_nodes, others, processes_in_pod, while_cut, while_killed,
};

/// The program, as processes are called.
const SERVER: &str = "huly-network";

/// Two on each agent, by turns.
const COUNTERS: usize = 6;

/// More than five times what a Pod takes that starts on a node that has its image.
const AGAIN: Duration = Duration::from_secs(30);

/// More than five times what Kubernetes takes: a node is lost after eight seconds, its Pods are gone
/// after five more, and then another starts.
const ELSEWHERE: Duration = Duration::from_secs(100);

/// More than five times what a node takes that was cut off: its kubelet, which ends the old server,
/// first gives up connections from before.
const HEALED: Duration = Duration::from_secs(120);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn its_pod_is_deleted_at_once() -> Result<()> {
    goes("its Pod is deleted", async |old, namespace| {
        let delete = ["delete", "pod", &old.name, "--namespace", namespace];
        let at_once = ["--grace-period=0", "--force", "--wait=false"];
        kubectl(&[&delete[..], &at_once].concat()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn its_process_is_killed() -> Result<()> {
    goes("its process is killed", async |old, _| {
        kill_in_pod(&old.uid, SERVER)
    })
    .await
}

async fn goes(how: &str, go: impl AsyncFnOnce(&ReleasePod, &str) -> Result<()>) -> Result<()> {
    let fates = on_loaded_nodes(AGAIN, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNTERS).await?;
        let old = release.server().await?;

        let gone = Instant::now();
        go(&old, &release.namespace).await?;
        let new = another(release, &old, AGAIN).await?;
        measured(&format!("{how} → another is ready"), gone.elapsed());
        let after = counters.agree(&NODES, AGAIN).await?;
        measured(
            &format!("{how} → {COUNTERS} claims are true"),
            gone.elapsed(),
        );

        assert_eq!(lives(&after), lives(&before), "nothing was started anew");
        counters.stayed_bound()?;
        let metrics = new.metrics().await?;
        for none in ["failovers_total", "starts_total", "ends_total"] {
            let count = metrics.sum(&format!("huly_network_{none}"), &[])?;
            assert_eq!(count, 0.0, "{none}");
        }
        alone(release, &old, &new).await
    })
    .await?;
    fates.nothing_restarted()
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn its_node_is_killed() -> Result<()> {
    on_loaded_nodes(ELSEWHERE, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNTERS).await?;
        let old = release.server().await?;
        let elsewhere = others(&old.node);

        let mut meanwhile = Vec::new();
        while_killed(&old.node, async || {
            let killed = Instant::now();
            let new = another(release, &old, ELSEWHERE).await?;
            ensure!(new.node != old.node, "it is on the node that is killed");
            measured(
                "the server's node is killed → another is ready",
                killed.elapsed(),
            );
            meanwhile = counters.agree(&elsewhere, ELSEWHERE).await?;
            measured(
                "the server's node is killed → claims are true",
                killed.elapsed(),
            );
            only_those_of(&old.node, &before, &meanwhile)
        })
        .await?;
        // Nothing moves by itself when the node is back.
        release.until_ready().await?;
        let after = counters.agree(&NODES, AGAIN).await?;
        assert_eq!(lives(&after), lives(&meanwhile));
        counters.stayed_bound()
    })
    .await?;
    Ok(())
}

/// Meanwhile there are two servers: the old one with the agent of its node, whose containers it
/// knows, and to which it brings the others; and a new one with the others.
#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn its_node_is_cut_off_and_comes_back() -> Result<()> {
    on_loaded_nodes(ELSEWHERE, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNTERS).await?;
        let old = release.server().await?;
        let old_term = term(&old).await?;
        let beyond = release.agent_on(&old.node).await?;
        let ended_before = ended(&beyond).await?;
        let elsewhere = others(&old.node);

        let (mut new, mut meanwhile) = (old.clone(), Vec::new());
        while_cut(&old.node, async || {
            let cut = Instant::now();
            new = another(release, &old, ELSEWHERE).await?;
            ensure!(new.node != old.node, "it is on the node that is cut off");
            measured(
                "the server's node is cut off → another is ready",
                cut.elapsed(),
            );
            meanwhile = counters.agree(&elsewhere, ELSEWHERE).await?;
            measured(
                "the server's node is cut off → claims are true",
                cut.elapsed(),
            );
            let still = processes_in_pod(&old.uid, SERVER)?;
            ensure!(still.len() == 1, "the old server runs on: {still:?}");
            only_those_of(&old.node, &before, &meanwhile)
        })
        .await?;
        let healed = Instant::now();
        release.until_ready().await?;
        let after = counters.agree(&NODES, HEALED).await?;
        measured("healed → one server, claims are true", healed.elapsed());
        assert_eq!(lives(&after), lives(&meanwhile));
        // All of them had a copy beyond the cut.
        let copies = ended(&beyond).await? - ended_before;
        assert!(copies >= lives(&after).len() as f64, "{copies} have ended");
        counters.stayed_bound()?;
        alone(release, &old, &new).await?;
        let new_term = term(&new).await?;
        assert!(new_term > old_term, "{new_term} after {old_term}");
        Ok(())
    })
    .await?;
    Ok(())
}

/// A ready server that is not the one that was.
async fn another(release: &Release, old: &ReleasePod, deadline: Duration) -> Result<ReleasePod> {
    eventually(deadline, "another server is ready", async || {
        let pods = release.pods(Component::Server).await?;
        let another = pods
            .iter()
            .find(|pod| pod.ready && pod.running != old.running);
        another.cloned().with_context(|| format!("{pods:?}"))
    })
    .await
}

/// Waits until of the two servers only the new one is left.
async fn alone(release: &Release, old: &ReleasePod, new: &ReleasePod) -> Result<()> {
    assert_eq!(release.server().await?, *new);
    if old.uid == new.uid {
        assert_eq!(new.restarts, old.restarts + 1);
        return Ok(());
    }
    eventually(SOON, "the old server has ended", async || {
        let left = processes_in_pod(&old.uid, SERVER)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

async fn term(server: &ReleasePod) -> Result<f64> {
    server
        .metrics()
        .await?
        .sum("huly_network_term_seconds", &[])
}

/// How many counters have ended on an agent.
async fn ended(agent: &ReleasePod) -> Result<f64> {
    let metrics = agent.metrics().await?;
    metrics.sum("huly_agent_ends_total", &[("kind", "counter")])
}

/// The lives of the counters, whoever wrote their claims meanwhile.
fn lives(counters: &[Counted]) -> Vec<Counted> {
    let counters = counters.iter().cloned();
    counters
        .map(|counted| Counted {
            version: String::new(),
            ..counted
        })
        .collect()
}

/// Expects those of a node to have begun a new life elsewhere, and all others to live on.
fn only_those_of(node: &str, before: &[Counted], after: &[Counted]) -> Result<()> {
    let (before, after) = (lives(before), lives(after));
    ensure!(before.len() == after.len(), "{after:?}");
    let mut moved = 0;
    for (was, is) in before.iter().zip(&after) {
        if was.node == node {
            is.is_a_life_after(was)?;
            moved += 1;
        } else {
            ensure!(was == is, "{was:?} need not have become {is:?}");
        }
    }
    ensure!(moved > 0, "nothing was on {node}: {before:?}");
    Ok(())
}

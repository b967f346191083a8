//! A node with an agent on it is lost: killed, or cut off. Its claims are bound elsewhere before
//! Kubernetes has noticed; when it is back, nothing runs twice and nothing moves back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_session::Config;
use huly_tests::{
    AgentPod, Cluster, Component, Counted, Counters, NODES, NOTICED, Release, SOON, eventually,
    kubectl, measured, on_loaded_nodes, others, processes_in_pod, ready_is, until_ready_is,
    while_cut, while_killed,
};

const COUNT: usize = 9;

/// Five times the alive timeout, which agents tell the server.
const CEILING: Duration = Config::ALIVE_TIMEOUT.saturating_mul(5);

/// A node that comes back first gives up connections from before.
const BACK: Duration = Duration::from_secs(90);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn the_claims_of_a_killed_node_are_bound_elsewhere_and_stay_there() -> Result<()> {
    on_loaded_nodes(CEILING, async |cluster, release| {
        let (mut counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victim = AgentPod::alone(release).await?;
        let node = victim.pod.node.as_str();

        let mut meanwhile = Vec::new();
        let gone = Instant::now();
        while_killed(node, async || {
            meanwhile = bound_elsewhere(
                cluster,
                release,
                &counters,
                &before,
                &victim,
                ("killed", gone),
            )
            .await?;
            // It changes nothing when Kubernetes notices, too.
            until_ready_is(cluster, node, "Unknown", NOTICED).await?;
            let noticed = counters.agree(&others(node), SOON).await?;
            ensure!(noticed == meanwhile, "{noticed:?} was {meanwhile:?}");
            Ok(())
        })
        .await?;

        let started = Instant::now();
        let back = eventually(BACK, "its agent is back", async || {
            let now = AgentPod::on_node(release, node).await?;
            ensure!(now.pod.uid == victim.pod.uid, "it is another Pod");
            ensure!(now.id != victim.id, "it is the agent of before");
            ensure!(now.pod.restarts > victim.pod.restarts, "{now:?}");
            Ok(now)
        })
        .await?;
        measured("killed node started → its agent is back", started.elapsed());
        let after = counters.agree(&NODES, SOON).await?;
        ensure!(after == meanwhile, "{after:?} was {meanwhile:?}");
        counters.nothing_moves_to(&back, &after).await
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn the_copies_on_a_node_that_was_cut_off_are_ended() -> Result<()> {
    on_loaded_nodes(CEILING, async |cluster, release| {
        let (mut counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victim = AgentPod::alone(release).await?;
        let node = victim.pod.node.as_str();

        let ended = async |agent: &AgentPod| {
            let why = [("kind", "counter"), ("reason", "LivesElsewhere")];
            let metrics = agent.pod.metrics().await?;
            metrics.sum("huly_agent_ends_total", &why)
        };
        let ended_before = ended(&victim).await?;

        let mut meanwhile = Vec::new();
        let gone = Instant::now();
        while_cut(node, async || {
            meanwhile = bound_elsewhere(
                cluster,
                release,
                &counters,
                &before,
                &victim,
                ("cut off", gone),
            )
            .await?;
            until_ready_is(cluster, node, "Unknown", NOTICED).await
        })
        .await?;

        let healed = Instant::now();
        // That no agent has a counter that is claimed elsewhere is part of it.
        let after = counters.agree(&NODES, BACK).await?;
        measured(
            "cut-off node healed → its old copies are gone",
            healed.elapsed(),
        );
        ensure!(after == meanwhile, "{after:?} was {meanwhile:?}");
        let back = AgentPod::on_node(release, node).await?;
        ensure!(
            back == victim,
            "{back:?} is not the agent of before, {victim:?}"
        );
        let copies = ended(&back).await? - ended_before;
        let lost = victim.those_on_it(&before)?.len();
        ensure!(copies.to_string() == lost.to_string(), "it had {copies}");
        counters.nothing_moves_to(&back, &after).await
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn a_lost_agent_whose_pod_is_deleted_by_force_leaves_nothing_behind() -> Result<()> {
    on_loaded_nodes(CEILING, async |cluster, release| {
        let (mut counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victim = AgentPod::alone(release).await?;
        let node = victim.pod.node.as_str();

        let mut meanwhile = Vec::new();
        let gone = Instant::now();
        while_cut(node, async || {
            meanwhile = bound_elsewhere(
                cluster,
                release,
                &counters,
                &before,
                &victim,
                ("cut off", gone),
            )
            .await?;
            let force = ["delete", "pod", "--force", "--grace-period=0"];
            let pod = ["--namespace", &release.namespace, &victim.pod.name];
            kubectl(&[&force[..], &pod].concat()).await?;
            // Kubernetes believes that it is gone, but it runs on.
            let left = processes_in_pod(&victim.pod.uid, "huly-agent")?;
            ensure!(left.len() == 1, "{left:?}");
            Ok(())
        })
        .await?;

        let after = counters.agree(&NODES, BACK).await?;
        ensure!(after == meanwhile, "{after:?} was {meanwhile:?}");
        let new = AgentPod::on_node(release, node).await?;
        ensure!(new.pod.uid != victim.pod.uid, "it is the Pod of before");
        eventually(BACK, "the old agent has ended", async || {
            let left = processes_in_pod(&victim.pod.uid, "huly-agent")?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await?;
        counters.nothing_moves_to(&new, &after).await
    })
    .await?;
    Ok(())
}

/// Waits until the victim's claims are bound on other nodes, while Kubernetes still believes its node
/// ready, and says how all stand then.
async fn bound_elsewhere(
    cluster: &Cluster,
    release: &Release,
    counters: &Counters<'_>,
    before: &[Counted],
    victim: &AgentPod,
    (what, gone): (&str, Instant),
) -> Result<Vec<Counted>> {
    let node = victim.pod.node.as_str();
    let lost = victim.those_on_it(before)?;
    let bound = counters.until_bound_again(&lost, CEILING).await?;
    ready_is(cluster, node, "True").await?;
    measured(
        &format!("node {what} → its claims Bound elsewhere"),
        bound - gone,
    );
    let meanwhile = counters.agree(&others(node), CEILING).await?;
    Counted::only_these_moved(before, &meanwhile, &lost)?;
    let pods = release.pods(Component::Agent).await?;
    let dead = pods.iter().find(|pod| pod.uid == victim.pod.uid);
    dead.context("Kubernetes has taken the lost Pod away")?;
    Ok(meanwhile)
}

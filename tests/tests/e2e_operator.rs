//! The operator's node goes, and no other may take the operator: nothing ends for want of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cluster, Component, Counted, Counters, NODES, Release, ReleasePod, eventually, kubectl,
    measured, on_loaded_nodes, others, while_cordoned, while_killed,
};
use tokio::time::sleep;

/// Two on each agent, by turns.
const COUNTERS: usize = 6;

/// How long it is away: longer than the minute for which a network server that has started ends
/// nothing for want of references.
const AWAY: Duration = Duration::from_secs(70);

/// More than five times what the network server takes to place again what was on a lost node.
const PLACED: Duration = Duration::from_secs(30);

/// More than five times what a node takes that comes back.
const BACK: Duration = Duration::from_secs(120);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn its_node_is_killed_for_over_a_minute() -> Result<()> {
    on_loaded_nodes(PLACED, async |cluster, release| {
        let operator = apart_from_the_server(release).await?;
        let others = others(&operator.node);
        let (counters, before) = Counters::agreed(cluster, release, COUNTERS).await?;
        let (lost, kept): (Vec<&Counted>, Vec<&Counted>) = before
            .iter()
            .partition(|counted| counted.node == operator.node);
        ensure!(!lost.is_empty() && !kept.is_empty(), "{before:?}");

        while_cordoned(&others, async || {
            while_killed(&operator.node, async || {
                let killed = Instant::now();
                let again = placed_again(release, &lost).await?;
                measured(
                    "the operator's node is killed → placed again",
                    killed.elapsed(),
                );
                while killed.elapsed() < AWAY {
                    for counted in kept.iter().copied().chain(&again) {
                        runs_on(release, counted).await?;
                    }
                    // Time passing is what is tested.
                    sleep(Duration::from_secs(1)).await;
                }
                let operators = release.pods(Component::Operator).await?;
                let ready = operators.iter().find(|pod| pod.ready);
                ensure!(ready.is_none(), "there is an operator: {ready:?}");
                written_by_nobody(cluster, &counters, &before).await
            })
            .await
        })
        .await?;
        let back = Instant::now();
        release.until_ready().await?;
        let after = counters.agree(&NODES, BACK).await?;
        measured(
            "the operator's node is back → claims are true",
            back.elapsed(),
        );
        for (was, is) in before.iter().zip(&after) {
            if was.node == operator.node {
                is.is_a_life_after(was)?;
            } else {
                let lives_on = is.value == was.value && is.epoch == was.epoch;
                ensure!(lives_on, "{was:?} became {is:?}");
            }
        }
        counters.stayed_bound()
    })
    .await?;
    Ok(())
}

/// The operator, on another node than the network server's: that one goes on.
async fn apart_from_the_server(release: &Release) -> Result<ReleasePod> {
    let (server, operator) = (release.server().await?, release.operator().await?);
    if server.node != operator.node {
        return Ok(operator);
    }
    while_cordoned(&[server.node.as_str()], async || {
        let pod = ["pod", &operator.name, "--namespace", &release.namespace];
        kubectl(&[&["delete"], &pod[..]].concat()).await?;
        let moved = release.operator().await?;
        ensure!(
            moved.node != server.node,
            "it is on a node that is cordoned"
        );
        Ok(())
    })
    .await?;
    release.operator().await
}

/// Waits until the network server alone has placed these again; as they are then.
async fn placed_again(release: &Release, lost: &[&Counted]) -> Result<Vec<Counted>> {
    eventually(PLACED, "what was on the node lives elsewhere", async || {
        let mut again = Vec::new();
        for was in lost {
            let container = release.live.container(&was.name).await?;
            let container = container.with_context(|| format!("{} does not live", was.name))?;
            ensure!(container.agent_id != was.agent, "{container:?}");
            let value = release.live.value(&was.name).await?;
            ensure!(value == 0, "{} is at {value}", was.name);
            let mut is = (*was).clone();
            (is.value, is.epoch) = (value, release.live.epoch_text(&was.name).await?);
            again.push(is);
        }
        Ok(again)
    })
    .await
}

async fn runs_on(release: &Release, counted: &Counted) -> Result<()> {
    let name = &counted.name;
    let value = release.live.value(name).await?;
    ensure!(value == counted.value, "{name} was started again: {value}");
    let epoch = release.live.epoch_text(name).await?;
    ensure!(epoch == counted.epoch, "{name} was placed again: {epoch}");
    Ok(())
}

/// Expects that no claim was written: there was no operator.
async fn written_by_nobody(
    cluster: &Cluster,
    counters: &Counters<'_>,
    before: &[Counted],
) -> Result<()> {
    let claims = cluster.claims(counters.namespace());
    for was in before {
        let claim = claims.get(&was.name).await?;
        let version = claim.metadata.resource_version.unwrap_or_default();
        ensure!(version == was.version, "{} was written", was.name);
    }
    Ok(())
}

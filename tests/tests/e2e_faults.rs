//! Several things fail at once, or between one and another: what lives lives on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cable, Component, Counted, Counters, NODES, Partition, Release, ReleasePod, eventually,
    kill_in_pod, kubectl, measured, on_loaded_nodes, on_nodes,
};

/// Two on each agent, by turns.
const COUNTERS: usize = 6;

/// More than five times what Pods take that start on a node that has their image.
const AGAIN: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn server_and_operator_are_killed_together() -> Result<()> {
    together("server and operator killed", async |_, pods| {
        kill_in_pod(&pods[0].uid, "huly-network")?;
        kill_in_pod(&pods[1].uid, "huly-operator")
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn the_pods_of_server_and_operator_are_deleted_together() -> Result<()> {
    together(
        "server's and operator's Pods deleted",
        async |release, pods| {
            let delete = ["delete", "pod", &pods[0].name, &pods[1].name];
            let at_once = ["--grace-period=0", "--force", "--wait=false"];
            let place = ["--namespace", &release.namespace];
            kubectl(&[&delete[..], &at_once, &place].concat()).await?;
            Ok(())
        },
    )
    .await
}

async fn together(
    what: &str,
    go: impl AsyncFnOnce(&Release, &[ReleasePod; 2]) -> Result<()>,
) -> Result<()> {
    let fates = on_loaded_nodes(AGAIN, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNTERS).await?;
        let old = [release.server().await?, release.operator().await?];

        let gone = Instant::now();
        go(release, &old).await?;
        let server = another(release, Component::Server, &old[0]).await?;
        another(release, Component::Operator, &old[1]).await?;
        measured(&format!("{what} → both are ready"), gone.elapsed());
        let after = counters.agree(&NODES, AGAIN).await?;
        measured(
            &format!("{what} → {COUNTERS} claims are true"),
            gone.elapsed(),
        );
        for (was, is) in before.iter().zip(&after) {
            lives_on(was, is)?;
        }
        counters.stayed_bound()?;
        let failovers = server.metrics().await?;
        let failovers = failovers.sum("huly_network_failovers_total", &[])?;
        ensure!(failovers == 0.0, "{failovers} failovers");
        Ok(())
    })
    .await?;
    fates.nothing_restarted()
}

/// The ready Pod of a component that runs something else than before.
async fn another(release: &Release, component: Component, old: &ReleasePod) -> Result<ReleasePod> {
    eventually(
        AGAIN,
        &format!("another of {} is ready", old.name),
        async || {
            let pods = release.pods(component).await?;
            let another = |pod: &&ReleasePod| pod.ready && pod.running != old.running;
            let another = pods.iter().find(another).cloned();
            another.with_context(|| format!("{pods:?}"))
        },
    )
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn clients_are_cut_off_from_the_server_and_not_from_agents() -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        let (counters, before) = Counters::agreed(cluster, &release, 1).await?;
        let claimed = &before[0].name;
        let mut partition = Partition::begin(release.address(), &release.live, claimed).await?;
        partition.unheard("nothing arrives", Cable::CUT).await?;
        partition.unheard("all are refused", Cable::REFUSED).await?;
        partition.end().await?;
        let after = counters.agree(&NODES, AGAIN).await?;
        lives_on(&before[0], &after[0])?;
        ensure!(
            after[0].version == before[0].version,
            "its claim was written"
        );
        Ok(())
    })
    .await
}

/// Expects a counter to be in the life that it was in; others may have counted it up.
fn lives_on(was: &Counted, is: &Counted) -> Result<()> {
    let same = was.epoch == is.epoch && was.value <= is.value && was.agent == is.agent;
    ensure!(same, "{was:?} became {is:?}");
    Ok(())
}

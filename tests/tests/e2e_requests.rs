//! Requests go on while agents end: none runs twice, none that was answered is lost, and no life of
//! a container answers once a later one has.

use std::time::Duration;

use anyhow::{Result, ensure};
use huly_tests::{
    AgentPod, Counted, Counters, NODES, Release, Traffic, measured, on_nodes, others, while_cut,
};

/// Two on each node: one is asked through the server, one directly.
const COUNT: usize = 6;

/// How long Pods may take to be replaced on a busy machine.
const REPLACED: Duration = Duration::from_secs(90);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn requests_while_agents_are_restarted_one_after_the_other() -> Result<()> {
    with_traffic("agents restarted", async |release, counters| {
        release.restart_agents().await?;
        counters.agree(&NODES, REPLACED).await
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn requests_while_an_agent_is_killed() -> Result<()> {
    with_traffic("agent killed", async |release, counters| {
        AgentPod::on_node(release, "node-1").await?.kill()?;
        counters.agree(&NODES, REPLACED).await
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn requests_while_a_node_is_cut_off_and_comes_back() -> Result<()> {
    with_traffic("node cut off", async |release, counters| {
        let node = AgentPod::alone(release).await?.pod.node;
        let others = others(&node);
        while_cut(&node, async || {
            counters.agree(&others, REPLACED).await?;
            Ok(())
        })
        .await?;
        counters.agree(&NODES, REPLACED).await
    })
    .await
}

/// Tells the story of some counters while they count, and looks whether they counted right. It
/// says how they stand at its end.
async fn with_traffic(
    what: &str,
    story: impl AsyncFnOnce(&Release, &Counters<'_>) -> Result<Vec<Counted>>,
) -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        let (counters, before) = Counters::agreed(cluster, &release, COUNT).await?;
        let traffic = Traffic::start(&release, &before).await?;
        let told = story(&release, &counters).await;
        let sent = traffic.stop().await;
        let (after, sent) = (told?, sent?);
        measured(&format!("{what} → longest without an answer"), sent.silence);
        // A client waits for its answer: it can have one request at an agent that ends.
        let lives: i64 = after.iter().map(|one| one.failovers).sum();
        ensure!(lives > 0, "nothing was lost: {after:?}");
        let failed: u64 = sent.failed.values().sum();
        ensure!(failed <= u64::try_from(lives)?, "{lives} lost: {sent:?}");
        Ok(())
    })
    .await
}

//! Agents join and leave without a pause, in every way: no get is lost, and the server is afterwards
//! as it was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use huly_agent::{AgentHandle, AgentOptions, AgentUpdate};
use huly_tests::{
    Cable, Cut, Layout, Live, Load, SILENCE, SOON, Scenario, eventually, reported, scenario,
};
use tokio::time::interval;

/// How many join and leave, and in which time.
const AGENTS: u32 = 200;
const MINUTE: Duration = Duration::from_secs(60);

/// The longest that it may take on a busy machine; how long it takes is measured.
const CEILING: Duration = Duration::from_secs(5 * MINUTE.as_secs());

/// How many do so before, at the same pace: memory that is needed once is needed by them.
const WARM_UP: u32 = 60;

/// How many containers start on each before it leaves.
const STARTS: usize = 2;

/// What memory may differ by: less than 8 KiB for each agent that was there.
const NOISE: u64 = AGENTS as u64 * 8 * 1024;

#[tokio::test]
async fn two_hundred_agents_in_a_minute() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        round(test, WARM_UP).await?;
        let (before, held) = (figures(test).await?, test.network.server.resident_bytes()?);
        let took = round(test, AGENTS).await?;
        let (after, holds) = (figures(test).await?, test.network.server.resident_bytes()?);
        reported(&format!(
            "measured: {AGENTS} agents joined and left in {took:?}: memory {held} → {holds} bytes"
        ));
        ensure!(took < CEILING, "it took {took:?}");
        assert_eq!(after, before, "the server remembers something");
        assert!(holds < held + NOISE, "{held} → {holds} bytes");
        Ok(())
    })
    .await
}

/// So many agents join at the pace, serve, and leave, under a load none of whose gets may fail. How
/// long it takes from the first one's joining until the last one is given up.
async fn round(test: &Scenario, count: u32) -> Result<Duration> {
    let server = &test.network.address;
    let load = Load::start(server).await?;
    let began = Instant::now();
    let mut pace = interval(MINUTE / AGENTS);
    let mut agents = FuturesUnordered::new();
    for number in 0..count {
        loop {
            tokio::select! {
                _ = pace.tick() => break,
                Some(left) = agents.next() => left?,
            }
        }
        agents.push(async move {
            let left = join_and_leave(server, &test.live, number).await;
            left.with_context(|| format!("agent {number}"))
        });
    }
    while let Some(left) = agents.next().await {
        left?;
    }
    let took = began.elapsed();
    let fates = load.stop(&test.live, SILENCE).await?;
    // What nobody holds any more is ended.
    test.quiet().await?;
    reported(&format!("load: {fates}"));
    let lost = fates.failed.keys().find(|(asked, _)| *asked == "get");
    ensure!(lost.is_none(), "a get was lost: {fates}");
    // They are on the agent that stays.
    fates.nothing_restarted()?;
    Ok(took)
}

async fn join_and_leave(server: &str, live: &Live, number: u32) -> Result<()> {
    let cut = Cut::before(server).await?;
    let options = AgentOptions::local(cut.address()).map_err(anyhow::Error::msg)?;
    let options = AgentOptions {
        workers: Some(1),
        ..options
    };
    let agent = AgentHandle::start(options, huly_example_kinds::kinds())?;
    let updates = agent.updates();
    agent.ready_within(SOON).await?;
    let starts = updates.filter(|update| {
        let starts = matches!(update, AgentUpdate::Started { .. });
        std::future::ready(starts)
    });
    let served = starts.take(STARTS).count();
    let served = tokio::time::timeout(SOON, served).await;
    ensure!(served.context("nothing was placed on it")? == STARTS);
    let id = agent.id().to_owned();
    match number % 5 {
        0 | 1 => agent.leave().await?,
        // As one that is killed: its connections are closed.
        2 | 3 => drop(agent),
        // Nobody is told.
        _ => {
            cut.set(Cable::CUT);
            drop(agent);
        }
    }
    eventually(SOON, "the server has given it up", async || {
        let known = live.agents().await?;
        ensure!(
            known.iter().all(|agent| agent.agent_id != id),
            "it is known"
        );
        Ok(())
    })
    .await
}

/// What the server has, as its metrics say.
async fn figures(test: &Scenario) -> Result<Vec<(&'static str, f64)>> {
    let metrics = test.network.server.metrics().await?;
    let gauges = [
        "agents",
        "client_sessions",
        "containers",
        "containers_waiting",
        "references",
        "standbys",
        "held_requests",
        "held_request_bytes",
        "agent_calls_in_flight",
        "kinds_specified",
    ];
    let figure = |gauge| Ok((gauge, metrics.sum(&format!("huly_network_{gauge}"), &[])?));
    gauges.into_iter().map(figure).collect()
}

//! Exclusive kinds on real programs: what two lives of a container execute never overlaps, by what
//! they wrote down.

mod exclusive {
    pub(crate) mod load;
}

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::ErrorKind;
use huly_tests::{
    Cable, Layout, Logbook, Object, Relay, SOON, Scenario, Way, eventually, measured, scenario,
};
use serde_json::json;
use tokio::time::timeout;

use exclusive::load::{CLIENTS, Fates, LAST_ANSWER, Load, Writer};

/// A network whose agents have a logbook, and a claim of a container of an exclusive kind, `alone`.
async fn alone(test: &mut Scenario) -> Result<(Logbook, String)> {
    let logbook = Logbook::of(&mut test.network)?;
    for agent in &mut test.network.agents {
        agent.start().await?;
    }
    let agent = claimed(test).await?;
    Ok((logbook, agent))
}

/// Claims it; says on which agent it is.
async fn claimed(test: &Scenario) -> Result<String> {
    let exclusive = json!({"exclusive": true});
    let kind = test.cluster.kind("logbook", exclusive).await?;
    let namespace = test.cluster.namespace("exclusive").await?;
    let spec = json!({"uuid": "alone"});
    let claim = test.cluster.claim(&namespace, "alone", &kind, spec).await?;
    let (bound, _) = claim.until_ready().await?;
    Ok(bound.text("/status/agent").to_owned())
}

/// What callers were told agrees with what was written down, where earlier lives may have executed so
/// many requests late; returns on which agents lives executed, in order.
fn agree(logbook: &Logbook, fates: &Fates, late: usize) -> Result<Vec<String>> {
    let executed = logbook.checked_but("alone", late)?;
    let ran: BTreeMap<u64, &str> = executed
        .iter()
        .map(|executed| (executed.data, executed.agent.as_str()))
        .collect();
    for (number, fate) in fates {
        let on = ran.get(number).copied();
        match fate {
            Ok(answer) => ensure!(on == answer["agent"].as_str(), "{number}: {answer}, {on:?}"),
            // It may have run.
            Err(ErrorKind::OutcomeUnknown) => {}
            Err(kind) => ensure!(on.is_none(), "{number} ran on {on:?} and failed: {kind:?}"),
        }
    }
    let mut lives: Vec<String> = executed
        .into_iter()
        .map(|executed| executed.agent)
        .collect();
    lives.dedup();
    Ok(lives)
}

/// Waits until a container has executed something elsewhere than on that agent.
async fn until_elsewhere(logbook: &Logbook, agent: &str) -> Result<Instant> {
    eventually(SOON, "another life executes", async || {
        let executed = logbook.executed("alone")?;
        let last = executed.last().context("nothing was executed")?;
        ensure!(last.agent != agent, "{last:?}");
        Ok(Instant::now())
    })
    .await
}

#[tokio::test]
async fn a_paused_agents_container_never_overlaps_with_its_next_life() -> Result<()> {
    // Not between a worker's look at the lease and what it does then.
    paused(false).await
}

/// A worker that is stopped between its look at the lease and what it does then does that when it goes
/// on. The container is on one worker at a time, which does one thing at a time.
#[tokio::test]
async fn an_agent_paused_at_work_executes_one_request_late_at_most() -> Result<()> {
    paused(true).await
}

async fn paused(at_work: bool) -> Result<()> {
    scenario(Layout::agents(2).started(0), async |test| {
        let (logbook, agent) = alone(test).await?;
        let load = Load::answered(test, &logbook).await?;

        let turn = match at_work {
            false => Some(load.turn.write().await),
            true => None,
        };
        let frozen = Instant::now();
        test.network.agent(&agent)?.freeze().await?;
        drop(turn);
        let at = until_elsewhere(&logbook, &agent).await?;
        if !at_work {
            let what = "agent paused → its exclusive container executes elsewhere";
            measured(what, at - frozen);
        }

        test.network.agent(&agent)?.thaw()?;
        let program = test.network.agent(&agent)?;
        eventually(SOON, "the old life is ended", async || {
            let labels = [("kind", "logbook"), ("reason", "LivesElsewhere")];
            let metrics = program.metrics().await?;
            ensure!(metrics.sum("huly_agent_ends_total", &labels)? == 1.0);
            Ok(())
        })
        .await?;
        let before = logbook.executed("alone")?.len();
        eventually(SOON, "the new life goes on", async || {
            ensure!(logbook.executed("alone")?.len() > before + 4 * CLIENTS);
            Ok(())
        })
        .await?;
        let fates = load.stop().await?;
        let late = usize::from(at_work);
        let lives = agree(&logbook, &fates, late)?;
        ensure!(lives.len() == 2 || at_work, "{lives:?}");
        let answered = fates.values().filter(|fate| fate.is_ok()).count();
        ensure!(answered > 8 * CLIENTS, "{answered} of {}", fates.len());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_comes_back_when_the_later_life_was_killed_executes_nothing_more() -> Result<()> {
    scenario(Layout::agents(2).started(0), async |test| {
        let (logbook, agent) = alone(test).await?;
        let load = Load::answered(test, &logbook).await?;
        let turn = load.turn.write().await;
        test.network.agent(&agent)?.freeze().await?;
        drop(turn);
        until_elsewhere(&logbook, &agent).await?;
        let later = test.live.epoch("alone").await?;
        let other = if agent == "agent-0" {
            "agent-1"
        } else {
            "agent-0"
        };
        test.network.agent(other)?.kill().await?;
        eventually(SOON, "the other agent is given up", async || {
            let agents = test.live.agents().await?;
            ensure!(agents.is_empty(), "{agents:?}");
            Ok(())
        })
        .await?;

        test.network.agent(&agent)?.thaw()?;
        eventually(SOON, "a third life executes", async || {
            let executed = logbook.executed("alone")?;
            let third = executed.iter().filter(|one| one.epoch > later).count();
            ensure!(third > 4 * CLIENTS, "{third}");
            Ok(())
        })
        .await?;
        let fates = load.stop().await?;
        let lives = agree(&logbook, &fates, 0)?;
        ensure!(lives == [agent.as_str(), other, &agent], "{lives:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_killed_agents_container_goes_on_elsewhere_when_its_lease_is_over() -> Result<()> {
    scenario(Layout::agents(2).started(0), async |test| {
        let (logbook, agent) = alone(test).await?;
        let load = Load::start(test, "logbook", "alone").await?;
        let killed = Instant::now();
        test.network.agent(&agent)?.kill().await?;
        let at = until_elsewhere(&logbook, &agent).await?;
        let what = "agent killed → its exclusive container executes elsewhere";
        measured(what, at - killed);
        let fates = load.stop().await?;
        let lives = agree(&logbook, &fates, 0)?;
        ensure!(lives.len() <= 2, "{lives:?}");
        Ok(())
    })
    .await
}

/// An agent is cut off from the network server, together with clients that reach it directly. Of an
/// ordinary kind both lives execute meanwhile: what is seen here of an exclusive one could be otherwise.
#[tokio::test]
async fn a_cut_off_agents_container_executes_nothing_once_another_may() -> Result<()> {
    scenario(Layout::agents(2).started(0), async |test| {
        let logbook = Logbook::of(&mut test.network)?;
        let server = test.network.address.clone();
        let cable = Relay::before(&server).await?;
        test.network.agents[0].set_flag("--network", cable.address())?;
        test.network.agents[0].start().await?;
        let agent = claimed(test).await?;
        let inside = Writer::to(cable.address(), "logbook", "alone", Way::Direct).await?;
        let ordinary = Writer::to(cable.address(), "notebook", "beside", Way::Direct).await?;
        let outside = Writer::to(&server, "logbook", "alone", Way::Routed).await?;
        let others = Writer::to(&server, "notebook", "beside", Way::Routed).await?;
        test.network.agents[1].start().await?;

        cable.set(Cable::STALLED);
        // Until its lease is over it executes, and then nothing more.
        let mut number = 100;
        while let Ok(answer) = inside.write_within(Duration::from_secs(1), number).await {
            ensure!(answer["agent"] == *agent, "{answer}");
            number += 1;
        }
        for uuid in ["alone", "beside"] {
            eventually(SOON, "it lives elsewhere", async || {
                let container = test.live.container(uuid).await?;
                let container = container.with_context(|| format!("{uuid} is nowhere"))?;
                ensure!(container.agent_id == "agent-1", "{container:?}");
                Ok(())
            })
            .await?;
        }
        outside.write(1).await?;
        others.write(2).await?;
        let both = ordinary.write(3).await?;
        ensure!(both["agent"] == *agent, "of an ordinary kind there are two");
        let late = inside.write_within(Duration::from_secs(1), 4).await;
        ensure!(late.is_err(), "{late:?}");

        cable.set(Cable::WHOLE);
        let program = test.network.agent(&agent)?;
        eventually(SOON, "the old lives are ended", async || {
            let labels = [("reason", "LivesElsewhere")];
            let metrics = program.metrics().await?;
            ensure!(metrics.sum("huly_agent_ends_total", &labels)? == 2.0);
            Ok(())
        })
        .await?;
        inside.write(5).await?;
        outside.write(6).await?;
        let executed = logbook.checked("alone")?;
        ensure!(executed.iter().all(|executed| executed.data != 4));
        ensure!(
            logbook.checked("beside").is_err(),
            "of an ordinary kind they overlap"
        );
        Ok(())
    })
    .await
}

/// Waits until an agent has its lease, or has none.
async fn until_leased(test: &mut Scenario, agent: &str, leased: bool) -> Result<()> {
    let program = test.network.agent(agent)?;
    eventually(SOON, "the agent's lease", async || {
        let metrics = program.metrics().await?;
        let now = metrics.sum("huly_agent_leased", &[])?;
        ensure!(now == f64::from(u8::from(leased)), "{now}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_server_exclusive_containers_wait_and_ordinary_ones_answer() -> Result<()> {
    scenario(Layout::agents(1).started(0), async |test| {
        let (logbook, agent) = alone(test).await?;
        let exclusive = Writer::to(&test.network.address, "logbook", "alone", Way::Direct).await?;
        let ordinary = Writer::to(&test.network.address, "notebook", "beside", Way::Direct).await?;
        exclusive.write(1).await?;
        ordinary.write(2).await?;
        let epoch = test.live.epoch("alone").await?;

        test.network.server.kill().await?;
        until_leased(test, &agent, false).await?;
        let waits = tokio::spawn(async move {
            let answer = exclusive.write(3).await;
            (exclusive, answer)
        });
        for number in 4..20 {
            ordinary.write(number).await?;
        }
        ensure!(!waits.is_finished());
        ensure!(logbook.checked("alone")?.len() == 1, "it waits");
        ensure!(logbook.checked("beside")?.len() == 17);

        let started = Instant::now();
        test.network.server.start().await?;
        let (exclusive, answer) = timeout(LAST_ANSWER, waits).await??;
        let what =
            "server started again after longer than the lease → an exclusive container answers";
        measured(what, started.elapsed());
        answer?;
        exclusive.write(20).await?;
        let executed = logbook.checked("alone")?;
        let numbers: Vec<u64> = executed.iter().map(|executed| executed.data).collect();
        ensure!(numbers == [1, 3, 20], "{numbers:?}");
        ensure!(executed.iter().all(|executed| executed.epoch == epoch));

        // Away for a moment: the lease lasts, or nearly so.
        test.network.server.kill().await?;
        let started = Instant::now();
        test.network.server.start().await?;
        exclusive.write(21).await?;
        let what = "server killed and started at once → an exclusive container answers";
        measured(what, started.elapsed());
        eventually(SOON, "the server knows the same life", async || {
            ensure!(test.live.epoch("alone").await? == epoch);
            Ok(())
        })
        .await
    })
    .await
}

//! The network server is killed and started again: nothing else is.

use std::pin::pin;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{join, poll};
use huly_client::{Client, ErrorKind, Json, RequestOptions};
use huly_tests::{
    Counter, Layout, Live, Object, SILENCE, SOON, Scenario, eventually, measured, scenario,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether a request that did not get through says so clearly.
fn is_clear(error: &huly_client::Error) -> bool {
    let kind = matches!(
        error.kind,
        ErrorKind::OutcomeUnknown | ErrorKind::Interrupted
    );
    kind && !error.message.is_empty()
}

async fn restart(test: &mut Scenario) -> Result<Instant> {
    test.network.server.kill().await?;
    test.network.server.start().await?;
    Ok(Instant::now())
}

#[tokio::test]
async fn nothing_is_restarted_and_claims_stay_bound() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("restart").await?;
        let mut claims = Vec::new();
        for number in 1..=6 {
            let name = format!("c-{number}");
            claims.push(test.counter(&namespace, &kind, &name, number).await?);
        }
        let held = test.live.client().get("counter").uuid("held").await?;
        held.request::<_, serde_json::Value>("increment", &json!({"by": 40}))
            .await?;

        let before = lives(test).await?;
        let up = restart(test).await?;
        for counter in &claims {
            counter.lives_on(&test.live).await?;
        }
        measured("server ready again → 6 containers answered", up.elapsed());
        let answer: serde_json::Value = held.request("value", &json!(null)).await?;
        assert_eq!(
            answer,
            json!({"value": 40}),
            "a client's container was started again"
        );
        eventually(SOON, "the references are there again", async || {
            for Counter { name, .. } in &claims {
                let references = test.live.references(name).await?;
                ensure!(references == 1, "{name} has {references}");
            }
            let references = test.live.references("held").await?;
            ensure!(references == 1, "the client's has {references}");
            Ok(())
        })
        .await?;
        // The kind's idle time is known again, too, and ends nothing that is claimed.
        test.network.operator.await_ready().await?;
        for counter in &claims {
            counter.stayed_bound()?;
            let now = test.cluster.claims(&namespace).get(&counter.name).await?;
            assert!(now.is("Bound"), "{}", now.shown());
            assert_eq!(now.number("/status/failovers"), 0);
            counter.lives_on(&test.live).await?;
        }
        let metrics = test.network.server.metrics().await?;
        let failovers = metrics.sum("huly_network_failovers_total", &[])?;
        assert_eq!(failovers, 0.0, "something was placed again");
        assert_eq!(lives(test).await?, before, "a counter was started or ended");
        test.end_load(SILENCE).await?.nothing_restarted()
    })
    .await
}

/// How many counters each agent has started and ended so far.
async fn lives(test: &Scenario) -> Result<Vec<[f64; 2]>> {
    let mut lives = Vec::new();
    for agent in &test.network.agents {
        let metrics = agent.metrics().await?;
        let count = |what| metrics.sum(what, &[("kind", "counter")]);
        lives.push([
            count("huly_agent_starts_total")?,
            count("huly_agent_ends_total")?,
        ]);
    }
    Ok(lives)
}

#[tokio::test]
async fn claims_made_and_deleted_meanwhile_are_put_right() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("restart").await?;
        for uuid in ["goes", "stays"] {
            test.counter(&namespace, &kind, uuid, 3).await?;
        }
        test.network.server.kill().await?;
        test.cluster
            .delete(&test.cluster.claims(&namespace), "goes")
            .await?;
        let comes = test
            .cluster
            .claim(&namespace, "comes", &kind, json!({"uuid": "comes"}))
            .await?;
        test.network.server.start().await?;
        comes.until_ready().await?;
        // What lived before the start is ended 60 s after it at the earliest: the reference tells.
        eventually(
            SOON,
            "the deleted claim's reference is gone",
            async || match test.live.container("goes").await? {
                None => Ok(()),
                Some(_) => {
                    ensure!(test.live.references("goes").await? == 0, "it is held");
                    Ok(())
                }
            },
        )
        .await?;
        assert_eq!(test.live.value("stays").await?, 3);
        assert_eq!(test.live.references("stays").await?, 1);
        test.end_load(SILENCE).await?.nothing_restarted()
    })
    .await
}

#[tokio::test]
async fn a_request_in_flight_is_answered_or_fails_clearly() -> Result<()> {
    scenario(Layout::agents(1).loaded(), async |test| {
        // The load's kind has a ContainerKind.
        let kind = test.kind_of_load("echo");
        let namespace = test.cluster.namespace("flight").await?;
        let claim = test
            .cluster
            .claim(&namespace, "e", &kind, json!({"uuid": "e"}))
            .await?;
        claim.until_ready().await?;
        // Long enough to span the restart.
        let nap = Json::of(&json!({ "ms": 5_000 }))?;
        let slept = Json::of(&json!({ "slept": 5_000 }))?;
        let client = test.live.client().clone();
        let found = test.live.container("e").await?.context("it lives")?;
        let holder = client.get(found.kind).uuid("e").await?;
        // Another client, which holds nothing.
        let stranger = Client::builder(&test.network.address).build();
        let options = |idempotent| RequestOptions {
            timeout: Some(SOON),
            idempotent,
        };
        let ask =
            |idempotent| stranger.request_json("e", "sleep", nap.clone(), options(idempotent));
        let (mut once, mut idempotent) = (pin!(ask(false)), pin!(ask(true)));
        let mut held = pin!(holder.request_json("sleep", nap.clone()).into_future());
        let sent = [
            poll!(once.as_mut()).is_pending(),
            poll!(idempotent.as_mut()).is_pending(),
            poll!(held.as_mut()).is_pending(),
        ];
        assert_eq!(sent, [true; 3]);
        // Requests of a client start in the order sent: once this one is answered, they run.
        for client in [&client, &stranger] {
            let echoed = client.request_json("e", "echo", slept.clone(), options(false));
            assert_eq!(echoed.await?.text(), slept.text());
        }
        restart(test).await?;
        // Who holds the container knows which life it asked: the agent answers once it is back.
        ensure!(
            poll!(held.as_mut()).is_pending(),
            "it did not span the restart"
        );
        let (held, idempotent, once) = join!(held, idempotent, once);
        assert_eq!(held?.text(), slept.text());
        assert_eq!(idempotent?.text(), slept.text());
        // Who does not hold it is told that it cannot be known.
        let error = once.err().context("a request of no known life")?;
        assert_eq!(error.kind, ErrorKind::OutcomeUnknown, "{error:?}");
        let echoed = test.live.ask("e", "echo", &json!(1), SOON).await?;
        assert_eq!(echoed, json!(1));
        test.end_load(SILENCE).await?.nothing_restarted()
    })
    .await
}

/// What became of the requests of one caller.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    unknown: u64,
}

/// Increments a counter, one request after the other, until told to stop.
fn keep_counting(
    live: Live,
    uuid: &'static str,
) -> (watch::Sender<bool>, JoinHandle<Result<Tally>>) {
    let (stop, stopped) = watch::channel(false);
    let counting = tokio::spawn(async move {
        let mut tally = Tally::default();
        let mut last = 0;
        while !*stopped.borrow() {
            match live.ask(uuid, "increment", &json!({"by": 1}), SOON).await {
                Ok(answer) => {
                    let value = answer["value"]
                        .as_u64()
                        .context("a counter answers a value")?;
                    ensure!(value > last, "the counter went from {last} to {value}");
                    last = value;
                    tally.answered += 1;
                }
                Err(error) if error.kind == ErrorKind::OutcomeUnknown => tally.unknown += 1,
                Err(error) => ensure!(is_clear(&error), "{error:?}"),
            }
        }
        Ok(tally)
    });
    (stop, counting)
}

#[tokio::test]
async fn requests_run_at_most_once_across_restarts() -> Result<()> {
    scenario(Layout::agents(1).loaded(), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("once").await?;
        let claim = test
            .cluster
            .claim(&namespace, "c", &kind, json!({"uuid": "c"}))
            .await?;
        claim.until_ready().await?;
        let (stop, counting) = keep_counting(test.live.clone(), "c");
        for round in 1..=3 {
            let before = test.live.value("c").await?;
            eventually(SOON, "requests go through", async || {
                let now = test.live.value("c").await?;
                ensure!(now > before + 20, "round {round}: {now} after {before}");
                Ok(())
            })
            .await?;
            restart(test).await?;
        }
        let before = test.live.value("c").await?;
        eventually(SOON, "requests go through again", async || {
            ensure!(test.live.value("c").await? > before, "none");
            Ok(())
        })
        .await?;
        stop.send(true)?;
        let tally = counting.await??;
        let value = test.live.value("c").await?;
        assert!(
            (tally.answered..=tally.answered + tally.unknown).contains(&value),
            "the counter stands at {value}: {tally:?}"
        );
        assert!(
            tally.unknown <= 3,
            "more than one request a restart has no outcome: {tally:?}"
        );
        test.end_load(SILENCE).await?.nothing_restarted()
    })
    .await
}

//! An agent is gone: its claims are bound elsewhere, nobody else notices, and nothing of it
//! comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::ErrorKind;
use huly_tests::{Counter, Layout, Object, SOON, Scenario, eventually, measured, scenario};
use serde_json::json;

/// Two claimed counters, `a` and `b`, on one agent each; `a` stands at 5, `b` at 7.
async fn two_counters(test: &Scenario) -> Result<(Counter, Counter)> {
    // A server that has just started waits whether an agent brings the uuids.
    test.network.settled().await?;
    let kind = test.cluster.kind("counter", json!({})).await?;
    let namespace = test.cluster.namespace("failover").await?;
    let a = test.counter(&namespace, &kind, "a", 5).await?;
    let b = test.counter(&namespace, &kind, "b", 7).await?;
    ensure!(a.agent() != b.agent(), "one after the other");
    Ok((a, b))
}

#[tokio::test]
async fn a_killed_agents_claim_is_bound_elsewhere() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let (a, b) = two_counters(test).await?;
        let killed = Instant::now();
        test.network.agent(a.agent())?.kill().await?;
        let (moved, at) = a.until_bound_again().await?;
        measured("agent killed → claim Bound elsewhere", at - killed);

        assert_eq!(moved.text("/status/agent"), b.agent());
        assert_eq!(
            moved.text("/status/nodeName"),
            b.bound.text("/status/nodeName")
        );
        assert_eq!(
            moved.text("/status/endpoint"),
            b.bound.text("/status/endpoint")
        );
        assert!(
            moved.is("Bound") && moved.is("Available"),
            "{}",
            moved.shown()
        );
        assert_eq!(moved.text("/status/lastFailover/from"), a.agent());
        assert_eq!(moved.text("/status/lastFailover/to"), b.agent());
        assert_eq!(
            moved.text("/status/lastFailover/reason"),
            "ConnectionClosed"
        );
        assert!(
            !moved.text("/status/lastFailover/time").is_empty(),
            "{}",
            moved.shown()
        );
        let took = moved
            .at("/status/lastFailover/durationMilliseconds")
            .as_u64();
        let took = Duration::from_millis(took.context("a failover has a duration")?);
        measured(
            "agent killed → container there again, as the server measured",
            took,
        );
        assert!(
            took <= at - killed,
            "longer than it was seen to take: {took:?}"
        );
        let epoch = test.live.epoch("a").await?;
        assert!(epoch > a.epoch, "{epoch:?} is not after {:?}", a.epoch);
        assert_eq!(
            moved.text("/status/epoch"),
            format!("{}.{}", epoch.term, epoch.n)
        );
        assert_eq!(test.live.value("a").await?, 0, "a new life begins anew");
        assert_eq!(test.live.references("a").await?, 1);

        eventually(SOON, "one Event says so", async || {
            let events = test.cluster.events(&a.namespace, &moved).await?;
            let failovers = events
                .iter()
                .filter(|event| event.starts_with("FailedOver:"));
            ensure!(failovers.count() == 1, "{events:?}");
            Ok(())
        })
        .await?;
        let metrics = test.network.server.metrics().await?;
        // The load had rooms on the agent, too; the claim says that this one moved once.
        let reason = [("reason", "ConnectionClosed")];
        let counted = metrics.sum("huly_network_failovers_total", &reason)?;
        assert!(counted >= 1.0, "{counted}");
        // Made, bound, moved; a failover of more than a second is shown while it lasts, too.
        let versions = a.claim.versions().len();
        let most = if took < Duration::from_millis(900) {
            3
        } else {
            4
        };
        assert!(versions <= most, "it was written too often:\n{}", a.claim);
        b.is_untouched(test).await
    })
    .await
}

#[tokio::test]
async fn all_claims_of_a_killed_agent_are_bound_elsewhere() -> Result<()> {
    scenario(Layout::agents(3).loaded(), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("many").await?;
        let mut claims = Vec::new();
        for number in 0..30 {
            claims.push(
                test.counter(&namespace, &kind, &format!("c-{number}"), 1)
                    .await?,
            );
        }
        let lost: Vec<&Counter> = claims
            .iter()
            .filter(|claim| claim.agent() == "agent-0")
            .collect();
        ensure!(lost.len() == 10, "one after the other");
        let killed = Instant::now();
        test.network.agent("agent-0")?.kill().await?;
        let mut last = killed;
        let mut places = [0, 0];
        for claim in &lost {
            let (moved, at) = claim.until_bound_again().await?;
            last = last.max(at);
            match moved.text("/status/agent") {
                "agent-1" => places[0] += 1,
                "agent-2" => places[1] += 1,
                other => panic!("placed on {other}"),
            }
        }
        measured(
            "agent killed → its 10 claims Bound elsewhere",
            last - killed,
        );
        assert_eq!(places, [5, 5], "one after the other");
        for was in claims.iter().filter(|claim| claim.agent() != "agent-0") {
            was.is_untouched(test).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_claim_waits_for_an_agent() -> Result<()> {
    scenario(Layout::agents(2).started(1).loaded(), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("waits").await?;
        let a = test.counter(&namespace, &kind, "a", 1).await?;
        test.network.agents[0].kill().await?;
        a.claim
            .until_after(2, SOON, "is not Ready", |claim| !claim.is("Ready"))
            .await?;
        test.network.agents[1].start().await?;
        let (moved, _) = a.until_bound_again().await?;
        assert_eq!(moved.text("/status/agent"), "agent-1");
        assert_eq!(test.live.references("a").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_ending_agent_hands_its_claims_on() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let (a, b) = two_counters(test).await?;
        let asked = Instant::now();
        test.network.agent(a.agent())?.terminate().await?;
        let (moved, at) = a.until_bound_again().await?;
        measured("agent asked to end → claim Bound elsewhere", at - asked);
        assert_eq!(moved.text("/status/agent"), b.agent());
        let reason = moved.text("/status/lastFailover/reason");
        assert!(
            ["AgentDraining", "AgentUnregistered", "ContainerEnded"].contains(&reason),
            "{reason}"
        );
        b.is_untouched(test).await
    })
    .await
}

#[tokio::test]
async fn a_frozen_agents_copy_runs_nothing_and_is_ended() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let (a, b) = two_counters(test).await?;
        let held = test.live.client().get("counter").uuid("a").await?;
        let connection = held.connect().await?;
        ensure!(
            connection.is_direct(),
            "the copy is to be reached directly, too"
        );
        let frozen = Instant::now();
        test.network.agent(a.agent())?.freeze().await?;
        // Both lie in the frozen agent's sockets. The old copy would answer 5 and something.
        let direct = tokio::spawn(async move {
            let data = json!({"by": 100});
            let answer = connection
                .request::<_, serde_json::Value>("increment", &data)
                .await;
            // The reference lives as long as the answer is awaited.
            (answer, connection)
        });
        let live = test.live.clone();
        let routed = tokio::spawn(async move {
            live.ask("a", "increment", &json!({"by": 1_000}), SOON)
                .await
        });

        let (moved, at) = a.until_bound_again().await?;
        measured("agent frozen → claim Bound elsewhere", at - frozen);
        assert_eq!(moved.text("/status/agent"), b.agent());
        assert_eq!(moved.text("/status/lastFailover/reason"), "AgentSilent");
        test.network.agent(a.agent())?.thaw()?;
        let old = test.network.agent(a.agent())?;
        let of_counter: &[(&str, &str)] = &[("kind", "counter")];
        eventually(SOON, "the old copy is ended", async || {
            let left = old
                .metrics()
                .await?
                .sum("huly_agent_containers", of_counter)?;
            ensure!(left == 0.0, "{left} of them live");
            Ok(())
        })
        .await?;
        let ran = old.metrics().await?.sum(
            "huly_agent_requests_total",
            &[("kind", "counter"), ("outcome", "ok")],
        )?;
        assert_eq!(ran, 1.0, "the old copy ran what came while it was frozen");

        let (direct, connection) = direct.await?;
        let mut sum = 0;
        for (answer, by) in [(direct, 100), (routed.await?, 1_000)] {
            match answer {
                Ok(answer) => {
                    let value = answer["value"]
                        .as_u64()
                        .context("a counter answers a value")?;
                    assert_eq!(value % 10, 0, "the old copy answered: {value}");
                    sum += by;
                }
                Err(error) => assert!(
                    matches!(
                        error.kind,
                        ErrorKind::OutcomeUnknown | ErrorKind::Interrupted | ErrorKind::Gone
                    ),
                    "{error:?}"
                ),
            }
        }
        assert_eq!(
            test.live.value("a").await?,
            sum,
            "the new copy ran what was answered"
        );
        assert_eq!(
            connection
                .request::<_, serde_json::Value>("value", &json!(null))
                .await?,
            json!({"value": sum}),
            "the connection followed"
        );
        let now = test.cluster.claims(&a.namespace).get("a").await?;
        assert_eq!(now.number("/status/failovers"), 1);
        assert_eq!(now.text("/status/agent"), b.agent());
        b.is_untouched(test).await
    })
    .await
}

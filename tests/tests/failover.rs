//! An agent is gone: its claims are bound elsewhere, nobody else notices, and nothing of it
//! comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::ErrorKind;
use huly_protocol::Epoch;
use huly_tests::{History, Layout, Object, Scenario, eventually, measured, scenario};
use kube::core::DynamicObject;
use serde_json::json;

/// More than five times what any step takes on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A claim of a counter with the uuid of its name, bound.
struct Bound {
    claim: History,
    object: DynamicObject,
    epoch: Epoch,
}

impl Bound {
    fn agent(&self) -> &str {
        self.object.text("/status/agent")
    }

    /// Waits until it is bound in its next life.
    async fn again(&self) -> Result<(DynamicObject, Instant)> {
        let failovers = self.object.number("/status/failovers") + 1;
        self.claim
            .until(SOON, "is Bound again", |claim| {
                claim.is("Ready") && claim.number("/status/failovers") == failovers
            })
            .await
    }
}

async fn claim(test: &Scenario, namespace: &str, kind: &str, name: &str) -> Result<Bound> {
    let claim = test
        .cluster
        .claim(namespace, name, kind, json!({"uuid": name}))
        .await?;
    let (object, _) = claim
        .until(SOON, "is Ready", |claim| claim.is("Ready"))
        .await?;
    let epoch = test.live.epoch(name).await?;
    Ok(Bound {
        claim,
        object,
        epoch,
    })
}

/// Two claimed counters, `a` and `b`, on one agent each; `a` stands at 5, `b` at 7.
async fn two_counters(test: &Scenario) -> Result<(String, Bound, Bound)> {
    // A server that has just started waits whether an agent brings the uuids.
    test.network.settled().await?;
    let kind = test.cluster.kind("counter", json!({})).await?;
    let namespace = test.cluster.namespace("failover").await?;
    let a = claim(test, &namespace, &kind, "a").await?;
    let b = claim(test, &namespace, &kind, "b").await?;
    ensure!(a.agent() != b.agent(), "one after the other");
    test.live.increment("a", 5).await?;
    test.live.increment("b", 7).await?;
    Ok((namespace, a, b))
}

/// The claim is as it was: not written, not moved, not started again.
async fn untouched(test: &Scenario, namespace: &str, name: &str, was: &Bound) -> Result<()> {
    let now = test.cluster.claims(namespace).get(name).await?;
    assert_eq!(
        now.version(),
        was.object.version(),
        "{name} was written: {}",
        now.shown()
    );
    assert_eq!(
        test.live.epoch(name).await?,
        was.epoch,
        "{name} was placed again"
    );
    assert_eq!(test.live.value(name).await?, 7, "{name} was started again");
    Ok(())
}

#[tokio::test]
async fn a_killed_agents_claim_is_bound_elsewhere() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let (namespace, a, b) = two_counters(test).await?;
        let killed = Instant::now();
        test.network.agent(a.agent())?.kill().await?;
        let (moved, at) = a.again().await?;
        measured("agent killed → claim Bound elsewhere", at - killed);

        assert_eq!(moved.text("/status/agent"), b.agent());
        assert_eq!(
            moved.text("/status/nodeName"),
            b.object.text("/status/nodeName")
        );
        assert_eq!(
            moved.text("/status/endpoint"),
            b.object.text("/status/endpoint")
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
            let events = test.cluster.events(&namespace, &moved).await?;
            let failovers = events
                .iter()
                .filter(|event| event.starts_with("FailedOver:"));
            ensure!(failovers.count() == 1, "{events:?}");
            Ok(())
        })
        .await?;
        let metrics = test.network.server.metrics().await?;
        assert_eq!(metrics.sum("huly_network_failovers_total", &[]), 1.0);
        // Made, bound, moved; a failover of more than a second is shown while it lasts, too.
        let versions = a.claim.versions().len();
        let most = if took < Duration::from_millis(900) {
            3
        } else {
            4
        };
        assert!(versions <= most, "it was written too often:\n{}", a.claim);
        untouched(test, &namespace, "b", &b).await
    })
    .await
}

#[tokio::test]
async fn all_claims_of_a_killed_agent_are_bound_elsewhere() -> Result<()> {
    scenario(Layout::agents(3), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("many").await?;
        let mut claims = Vec::new();
        for number in 0..30 {
            claims.push(claim(test, &namespace, &kind, &format!("c-{number}")).await?);
        }
        let lost: Vec<&Bound> = claims
            .iter()
            .filter(|claim| claim.agent() == "agent-0")
            .collect();
        ensure!(lost.len() == 10, "one after the other");
        let killed = Instant::now();
        test.network.agent("agent-0")?.kill().await?;
        let mut last = killed;
        let mut places = [0, 0];
        for claim in &lost {
            let (moved, at) = claim.again().await?;
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
            let now = test
                .cluster
                .claims(&namespace)
                .get(was.object.name())
                .await?;
            assert_eq!(
                now.version(),
                was.object.version(),
                "{} was written",
                was.object.name()
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_claim_waits_for_an_agent() -> Result<()> {
    scenario(Layout::agents(2).started(1), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("waits").await?;
        let a = claim(test, &namespace, &kind, "a").await?;
        test.network.agents[0].kill().await?;
        a.claim
            .until_after(2, SOON, "is not Ready", |claim| !claim.is("Ready"))
            .await?;
        test.network.agents[1].start().await?;
        let (moved, _) = a.again().await?;
        assert_eq!(moved.text("/status/agent"), "agent-1");
        assert_eq!(test.live.references("a").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_ending_agent_hands_its_claims_on() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let (namespace, a, b) = two_counters(test).await?;
        let asked = Instant::now();
        test.network.agent(a.agent())?.terminate().await?;
        let (moved, at) = a.again().await?;
        measured("agent asked to end → claim Bound elsewhere", at - asked);
        assert_eq!(moved.text("/status/agent"), b.agent());
        let reason = moved.text("/status/lastFailover/reason");
        assert!(
            ["AgentDraining", "AgentUnregistered", "ContainerEnded"].contains(&reason),
            "{reason}"
        );
        untouched(test, &namespace, "b", &b).await
    })
    .await
}

#[tokio::test]
async fn a_frozen_agents_copy_runs_nothing_and_is_ended() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let (namespace, a, b) = two_counters(test).await?;
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

        let (moved, at) = a.again().await?;
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
                .sum("huly_agent_containers", of_counter);
            ensure!(left == 0.0, "{left} of them live");
            Ok(())
        })
        .await?;
        let ran = old.metrics().await?.sum(
            "huly_agent_requests_total",
            &[("kind", "counter"), ("outcome", "ok")],
        );
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
        let now = test.cluster.claims(&namespace).get("a").await?;
        assert_eq!(now.number("/status/failovers"), 1);
        assert_eq!(now.text("/status/agent"), b.agent());
        untouched(test, &namespace, "b", &b).await
    })
    .await
}

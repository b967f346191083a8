//! Stateless containers: every agent makes one beforehand, a claim is bound to the one that has the
//! uuid, and one that stands by has it next.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{Layout, Object, SILENCE, SOON, Scenario, eventually, measured, scenario};
use kube::core::DynamicObject;
use serde_json::json;

/// Figures come within 30 s of a change.
const FIGURES: Duration = Duration::from_secs(40);

/// Waits until so many containers of the kind stand by.
async fn until_standbys(test: &Scenario, kind: &str, count: usize) -> Result<()> {
    eventually(SOON, &format!("{count} stand by"), async || {
        let metrics = test.network.server.metrics().await?;
        let standbys = metrics.sum("huly_network_standbys", &[("kind", kind)])?;
        ensure!(standbys == count as f64, "{standbys}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_claim_of_a_stateless_uuid_fails_over_to_a_standby() -> Result<()> {
    scenario(Layout::agents(3).loaded(), async |test| {
        test.network.settled().await?;
        let zones = ["0", "1"];
        let selector = json!({"matchExpressions": [
            {"key": "zone", "operator": "In", "values": zones},
        ]});
        let spec = json!({
            "stateless": {"uuid": "leader"},
            "placement": {"agentSelector": selector},
        });
        let kind = test.cluster.kind("counter", spec).await?;
        // Before anybody asks: one has the uuid, one stands by, the third agent is not selected.
        until_standbys(test, "counter", 1).await?;
        let standing = test.live.container("leader").await?;
        let first = standing.map(|container| container.agent_id);
        ensure!(first.is_some(), "nobody has the uuid");
        let shown = test.cluster.watch_kind(&kind).await?;
        let figures = |kind: &DynamicObject| {
            kind.is("Ready")
                && kind.number("/status/standbys") == 1
                && kind.number("/status/containers") == 1
        };
        shown.until(FIGURES, "shows its standby", figures).await?;

        let namespace = test.cluster.namespace("stateless").await?;
        let claim = test.counter(&namespace, &kind, "leader", 5).await?;
        assert_eq!(
            Some(claim.agent()),
            first.as_deref(),
            "it was there already"
        );
        let killed = Instant::now();
        test.network.agent(claim.agent())?.kill().await?;
        let (moved, at) = claim.until_bound_again().await?;
        measured("agent killed → claim Bound to its standby", at - killed);
        let other = if claim.agent() == "agent-0" {
            "agent-1"
        } else {
            "agent-0"
        };
        assert_eq!(moved.text("/status/agent"), other);
        assert_eq!(test.live.value("leader").await?, 0, "another answers");
        assert!(test.live.epoch("leader").await? > claim.epoch);

        // The killed agent is back and stands by; nobody who lets go ends the uuid.
        test.network.agent(claim.agent())?.start().await?;
        until_standbys(test, "counter", 1).await?;
        let counted = test.live.increment("leader", 3).await?;
        assert_eq!(counted, 3);
        let claims = test.cluster.claims(&namespace);
        test.cluster.delete(&claims, "leader").await?;
        eventually(SOON, "the claim has let go", async || {
            ensure!(test.live.references("leader").await? == 0);
            Ok(())
        })
        .await?;
        test.live.idle_out("counter", SOON).await?;
        assert_eq!(test.live.value("leader").await?, 3, "it was ended");
        test.end_load(SILENCE).await?.one_lost_a_life()
    })
    .await
}

#[tokio::test]
async fn a_claim_waits_for_an_agent_that_makes_it_beforehand() -> Result<()> {
    scenario(Layout::agents(2).started(1).loaded(), async |test| {
        test.network.settled().await?;
        let spec = json!({
            "stateless": {"uuid": "leader"},
            "placement": {"agentSelector": {"matchLabels": {"zone": "1"}}},
        });
        let kind = test.cluster.kind("counter", spec).await?;
        let namespace = test.cluster.namespace("waits").await?;
        let spec = json!({"uuid": "leader"});
        let claim = test
            .cluster
            .claim(&namespace, "leader", &kind, spec)
            .await?;
        claim
            .until(SOON, "is not placeable", |claim| {
                claim.is_not("Ready", "NotPlaceable")
            })
            .await?;
        test.network.agents[1].start().await?;
        let (bound, _) = claim.until_ready().await?;
        assert_eq!(bound.text("/status/agent"), "agent-1");

        // Deleted, the kind ends nothing: the claim keeps what it has.
        test.live.increment("leader", 2).await?;
        test.cluster.delete(&test.cluster.kinds(), &kind).await?;
        let deleted = |claim: &DynamicObject| {
            let ready = claim.condition("Ready");
            claim.is("Ready") && ready.is_some_and(|ready| ready.reason == "KindDeleted")
        };
        claim
            .until(SOON, "says that its kind is gone", deleted)
            .await?;
        until_standbys(test, "counter", 0).await?;
        assert_eq!(test.live.value("leader").await?, 2);
        Ok(())
    })
    .await
}

//! The operator is away: containers live on, and what changed meanwhile is put right.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{Layout, Object, Scenario, eventually, measured, scenario};
use serde_json::json;

/// More than five times what any step takes on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// How the operator goes.
enum Going {
    /// SIGKILL: the network hears nothing of it any more.
    Killed,
    /// SIGTERM: it leaves without releasing.
    Asked,
}

#[tokio::test]
async fn what_changed_while_it_was_killed_is_put_right() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        put_right(test, Going::Killed).await
    })
    .await
}

#[tokio::test]
async fn what_changed_while_it_was_ended_is_put_right() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        put_right(test, Going::Asked).await
    })
    .await
}

async fn put_right(test: &mut Scenario, going: Going) -> Result<()> {
    let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
    let kind = test.cluster.kind("counter", short).await?;
    let namespace = test.cluster.namespace("away").await?;
    let mut before = Vec::new();
    for (uuid, value) in [("stays-a", 3), ("goes", 4), ("stays-b", 5)] {
        let claim = test
            .cluster
            .claim(&namespace, uuid, &kind, json!({ "uuid": uuid }))
            .await?;
        let (bound, _) = claim
            .until(SOON, "is Ready", |claim| claim.is("Ready"))
            .await?;
        test.live.increment(uuid, value).await?;
        before.push((uuid, value, bound, test.live.epoch(uuid).await?));
    }

    let sessions = async |test: &Scenario| {
        let metrics = test.network.server.metrics().await?;
        anyhow::Ok(metrics.sum("huly_network_client_sessions", &[("dialect", "rust")]))
    };
    let with_operator = sessions(test).await?;
    match going {
        Going::Killed => test.network.operator.kill().await?,
        Going::Asked => test.network.operator.terminate().await?,
    }
    let claims = test.cluster.claims(&namespace);
    test.cluster.delete(&claims, "goes").await?;
    let comes = test
        .cluster
        .claim(&namespace, "comes", &kind, json!({"uuid": "comes"}))
        .await?;
    eventually(
        SOON,
        "the server forgets the operator's session",
        async || {
            let now = sessions(test).await?;
            ensure!(now < with_operator, "{now} sessions");
            Ok(())
        },
    )
    .await?;
    // Longer than containers live that nobody holds.
    test.live.idle_out("counter", SOON).await?;
    for (uuid, value, _, epoch) in &before {
        assert_eq!(
            test.live.value(uuid).await?,
            *value,
            "{uuid} was lost without the operator"
        );
        assert_eq!(test.live.epoch(uuid).await?, *epoch);
    }
    assert!(
        comes
            .versions()
            .iter()
            .flat_map(|seen| &seen.object)
            .all(|claim| !claim.is("Bound")),
        "nobody was there to bind it"
    );

    let started = Instant::now();
    test.network.operator.start().await?;
    let (_, at) = comes
        .until(SOON, "is Ready", |claim| claim.is("Ready"))
        .await?;
    measured(
        "operator started → claim made meanwhile Bound",
        at - started,
    );
    test.live.until_gone("goes", SOON).await?;
    measured(
        "operator started → container of the claim deleted meanwhile ended (idle time 1 s)",
        started.elapsed(),
    );
    assert_eq!(test.live.value("comes").await?, 0);
    for (uuid, value, bound, epoch) in before.iter().filter(|(uuid, ..)| *uuid != "goes") {
        assert_eq!(test.live.value(uuid).await?, *value, "{uuid} was lost");
        assert_eq!(
            test.live.epoch(uuid).await?,
            *epoch,
            "{uuid} was placed again"
        );
        assert_eq!(test.live.references(uuid).await?, 1, "{uuid} is held once");
        let now = claims.get(uuid).await?;
        assert_eq!(
            now.version(),
            bound.version(),
            "{uuid} was written: {}",
            now.shown()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_failover_while_it_was_away_is_shown() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("away").await?;
        let claim = test
            .cluster
            .claim(&namespace, "c", &kind, json!({"uuid": "c"}))
            .await?;
        let (bound, _) = claim
            .until(SOON, "is Ready", |claim| claim.is("Ready"))
            .await?;
        let agent = bound.text("/status/agent").to_owned();
        let epoch = test.live.epoch("c").await?;
        test.network.operator.kill().await?;
        test.network.agent(&agent)?.kill().await?;
        eventually(
            SOON,
            "it is placed again without the operator",
            async || {
                ensure!(test.live.epoch("c").await? > epoch, "it is not");
                Ok(())
            },
        )
        .await?;
        test.network.operator.start().await?;
        let (moved, _) = claim
            .until(SOON, "shows its failover", |claim| {
                claim.is("Ready") && claim.number("/status/failovers") == 1
            })
            .await?;
        assert_ne!(moved.text("/status/agent"), agent);
        assert_eq!(moved.text("/status/lastFailover/from"), agent);
        Ok(())
    })
    .await
}

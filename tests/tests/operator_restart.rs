//! The operator is away: containers live on, and what changed meanwhile is put right.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use huly_tests::{Layout, Object, SILENCE, SOON, Scenario, eventually, measured, scenario};
use serde_json::json;

/// How the operator goes.
enum Going {
    /// SIGKILL: the network hears nothing of it any more.
    Killed,
    /// SIGTERM: it leaves without releasing.
    Asked,
}

#[tokio::test]
async fn what_changed_while_it_was_killed_is_put_right() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        put_right(test, Going::Killed).await
    })
    .await
}

#[tokio::test]
async fn what_changed_while_it_was_ended_is_put_right() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        put_right(test, Going::Asked).await
    })
    .await
}

async fn put_right(test: &mut Scenario, going: Going) -> Result<()> {
    let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
    let kind = test.cluster.kind("counter", short).await?;
    let namespace = test.cluster.namespace("away").await?;
    let mut before = Vec::new();
    for (name, value) in [("stays-a", 3), ("goes", 4), ("stays-b", 5)] {
        before.push(test.counter(&namespace, &kind, name, value).await?);
    }

    let sessions = async |test: &Scenario| {
        let metrics = test.network.server.metrics().await?;
        metrics.sum("huly_network_client_sessions", &[("dialect", "rust")])
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
    for counter in &before {
        let lives_on = counter.lives_on(&test.live).await;
        lives_on.context("without the operator")?;
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
    let (_, at) = comes.until_ready().await?;
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
    for counter in before.iter().filter(|counter| counter.name != "goes") {
        counter.is_untouched(test).await?;
        let (name, references) = (&counter.name, test.live.references(&counter.name).await?);
        assert_eq!(references, 1, "{name} is held once");
    }
    test.end_load(SOON).await?.nothing_restarted()
}

#[tokio::test]
async fn a_failover_while_it_was_away_is_shown() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("away").await?;
        let counter = test.counter(&namespace, &kind, "c", 1).await?;
        test.network.operator.kill().await?;
        test.network.agent(counter.agent())?.kill().await?;
        eventually(
            SOON,
            "it is placed again without the operator",
            async || {
                ensure!(test.live.epoch("c").await? > counter.epoch, "it is not");
                Ok(())
            },
        )
        .await?;
        test.network.operator.start().await?;
        let (moved, _) = counter.until_bound_again().await?;
        assert_ne!(moved.text("/status/agent"), counter.agent());
        assert_eq!(moved.text("/status/lastFailover/from"), counter.agent());
        test.end_load(SILENCE).await?.one_lost_a_life()
    })
    .await
}

//! The network server and the operator are killed together, and started again one after the other.

use anyhow::{Context, Result, ensure};
use huly_tests::{Counter, Layout, OriginalTalker, SILENCE, SOON, Scenario, eventually, scenario};
use serde_json::json;

/// Which of them is started first.
#[derive(Debug, Clone, Copy)]
enum First {
    Server,
    Operator,
}

#[tokio::test]
async fn the_server_comes_back_first() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        together(test, First::Server).await
    })
    .await
}

#[tokio::test]
async fn the_operator_comes_back_first() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        together(test, First::Operator).await
    })
    .await
}

async fn together(test: &mut Scenario, first: First) -> Result<()> {
    let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
    let kind = test.cluster.kind("counter", short).await?;
    let namespace = test.cluster.namespace("together").await?;
    let mut claimed = Vec::new();
    for (name, value) in [("stays-a", 3), ("stays-b", 4), ("goes", 5), ("stays-c", 6)] {
        claimed.push(test.counter(&namespace, &kind, name, value).await?);
    }
    let held = test.live.client().get("counter").uuid("held").await?;
    let connection = held.connect().await?;
    let by_seven = json!({"by": 7});
    let original = OriginalTalker::start(&test.network.address).await?;
    let _: serde_json::Value = connection.request("increment", &by_seven).await?;

    let network = &mut test.network;
    let (server, operator) = tokio::join!(network.server.kill(), network.operator.kill());
    server.and(operator)?;
    let claims = test.cluster.claims(&namespace);
    test.cluster.delete(&claims, "goes").await?;
    let spec = json!({"uuid": "comes"});
    let comes = test.cluster.claim(&namespace, "comes", &kind, spec).await?;
    let answer: serde_json::Value = connection.request("increment", &by_seven).await?;
    assert_eq!(answer, json!({"value": 14}), "past the server");

    match first {
        First::Server => {
            test.network.server.start().await?;
            // The claims' references come with their containers, without the operator.
            for counter in &claimed {
                counter.lives_on(&test.live).await?;
                held_once(test, counter).await?;
            }
            test.network.operator.start().await?;
        }
        First::Operator => {
            let network = &mut test.network;
            network.operator.spawn()?;
            eventually(SOON, "the operator waits for the server", async || {
                let (status, body) = network.operator.page("/readyz").await?;
                ensure!(body.contains("the network server"), "{status}: {body}");
                Ok(())
            })
            .await?;
            network.server.start().await?;
            network.operator.await_ready().await?;
        }
    }
    comes.until_ready().await?;
    eventually(SOON, "the deleted claim has let go", async || {
        // The server spares for a minute what it found when it started.
        if test.live.container("goes").await?.is_some() {
            let references = test.live.references("goes").await?;
            ensure!(references == 0, "{references} hold it");
        }
        Ok(())
    })
    .await?;
    for counter in claimed.iter().filter(|counter| counter.name != "goes") {
        counter.is_untouched(test).await?;
        held_once(test, counter).await?;
    }
    let answer: serde_json::Value = held.request("increment", &by_seven).await?;
    assert_eq!(answer, json!({"value": 21}), "it was started again");
    assert_eq!(test.live.references("held").await?, 1);
    let metrics = test.network.server.metrics().await?;
    assert_eq!(metrics.sum("huly_network_failovers_total", &[])?, 0.0);

    let said = original.end().await.context("the TypeScript-like client")?;
    ensure!(said > 1, "it says nothing");
    test.end_load(SILENCE).await?.nothing_restarted()
}

async fn held_once(test: &Scenario, counter: &Counter) -> Result<()> {
    let name = &counter.name;
    eventually(SOON, &format!("{name} is held once"), async || {
        let references = test.live.references(name).await?;
        ensure!(references == 1, "{references} hold it");
        Ok(())
    })
    .await
}

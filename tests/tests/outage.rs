//! The operator and the API server are away. It stops the API server that all tests share, so it
//! is alone in its binary.

use std::time::{Duration, Instant};

use anyhow::Result;
use huly_tests::{ControlPlane, Layout, SOON, scenario};
use serde_json::json;
use tokio::time::sleep;

/// How long they are away: longer than every time-out of the network.
const AWAY: Duration = Duration::from_secs(90);

#[tokio::test]
async fn no_container_is_ended_without_operator_and_api_server() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("outage").await?;
        let mut before = Vec::new();
        for (name, value) in [("a", 3), ("b", 4), ("c", 5)] {
            before.push(test.counter(&namespace, &kind, name, value).await?);
        }

        test.network.operator.kill().await?;
        let stopped = ControlPlane::read()?.stop_api_server().await?;
        let end = Instant::now() + AWAY;
        while Instant::now() < end {
            for counter in &before {
                counter.lives_on(&test.live).await?;
            }
            // Time passing is what is tested.
            sleep(Duration::from_secs(1)).await;
        }

        drop(stopped);
        test.network.operator.start().await?;
        for counter in &before {
            counter.is_untouched(test).await?;
            let (name, references) = (&counter.name, test.live.references(&counter.name).await?);
            assert_eq!(references, 1, "{name} is held once");
        }
        let late = test
            .cluster
            .claim(&namespace, "late", &kind, json!({}))
            .await?;
        late.until_ready().await?;
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}

//! The operator and the API server are away. It stops the API server that all tests share, so it
//! is alone in its binary.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{ControlPlane, Layout, Object, scenario};
use serde_json::json;
use tokio::time::sleep;

/// More than five times what any step takes on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// How long they are away: longer than every time-out of the network.
const AWAY: Duration = Duration::from_secs(90);

#[tokio::test]
async fn no_container_is_ended_without_operator_and_api_server() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("outage").await?;
        let mut before = Vec::new();
        for (uuid, value) in [("a", 3), ("b", 4), ("c", 5)] {
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
        let ended = test
            .network
            .server
            .metrics()
            .await?
            .sum("huly_network_ends_total", &[]);

        test.network.operator.kill().await?;
        let stopped = ControlPlane::read()?.stop_api_server().await?;
        let end = Instant::now() + AWAY;
        while Instant::now() < end {
            for (uuid, value, _, epoch) in &before {
                assert_eq!(test.live.value(uuid).await?, *value, "{uuid} was lost");
                assert_eq!(
                    test.live.epoch(uuid).await?,
                    *epoch,
                    "{uuid} was placed again"
                );
            }
            // Time passing is what is tested.
            sleep(Duration::from_secs(1)).await;
        }
        let now = test
            .network
            .server
            .metrics()
            .await?
            .sum("huly_network_ends_total", &[]);
        ensure!(now == ended, "{} containers were ended", now - ended);

        drop(stopped);
        test.network.operator.start().await?;
        for (uuid, value, bound, epoch) in &before {
            assert_eq!(test.live.value(uuid).await?, *value, "{uuid} was lost");
            assert_eq!(
                test.live.epoch(uuid).await?,
                *epoch,
                "{uuid} was placed again"
            );
            assert_eq!(test.live.references(uuid).await?, 1, "{uuid} is held once");
            let shown = test.cluster.claims(&namespace).get(uuid).await?;
            assert!(shown.is("Ready"), "{}", shown.shown());
            assert_eq!(
                shown.version(),
                bound.version(),
                "{uuid} was written: {}",
                shown.shown()
            );
        }
        let late = test
            .cluster
            .claim(&namespace, "late", &kind, json!({}))
            .await?;
        late.until(SOON, "is Ready", |claim| claim.is("Ready"))
            .await?;
        Ok(())
    })
    .await
}

//! The operator's metrics and health.

use std::fs;

use anyhow::{Result, ensure};
use huly_tests::{Layout, Object, SOON, eventually, python_test, scenario};
use serde_json::json;

#[tokio::test]
async fn metrics_are_prometheus_and_follow_what_happens() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let kind = test.cluster.kind("echo", json!({})).await?;
        let namespace = test.cluster.namespace("metrics").await?;
        for name in ["a", "b"] {
            let claim = test
                .cluster
                .claim(&namespace, name, &kind, json!({}))
                .await?;
            claim.until_ready().await?;
        }
        let unknown = test.cluster.kind_name("none");
        let claim = test
            .cluster
            .claim(&namespace, "c", &unknown, json!({}))
            .await?;
        claim.until_refused("KindNotFound").await?;
        let operator = &test.network.operator;
        eventually(SOON, "the gauges follow", async || {
            let metrics = operator.metrics().await?;
            let claims = |bound: &str, reason: &str| {
                let labels = [("bound", bound), ("reason", reason)];
                metrics.sum("huly_operator_claims", &labels)
            };
            let counts = (claims("true", "Bound")?, claims("false", "KindNotFound")?);
            ensure!(counts == (2.0, 1.0), "{counts:?}");
            ensure!(
                metrics.sum("huly_operator_session_up", &[])? == 1.0,
                "no session"
            );
            let bound = metrics.sum("huly_operator_claim_bound_seconds_count", &[])?;
            ensure!(bound == 2.0, "{bound} were bound");
            Ok(())
        })
        .await?;
        python_test(
            "tests/conformance/test_metrics.py::test_metrics_of_an_operator",
            &[("HULY_OPERATOR_METRICS", &operator.metrics_url())],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn readiness_says_what_it_waits_for() -> Result<()> {
    scenario(Layout::agents(1).loaded(), async |test| {
        let operator = &test.network.operator;
        for path in ["/livez", "/readyz"] {
            assert_eq!(operator.page(path).await?.0, 200, "{path}");
        }
        test.network.server.kill().await?;
        eventually(SOON, "it waits for the network server", async || {
            let (status, body) = operator.page("/readyz").await?;
            ensure!(
                status == 503 && body.contains("network server"),
                "{status}: {body}"
            );
            Ok(())
        })
        .await?;
        assert_eq!(
            operator.page("/livez").await?.0,
            200,
            "it is no reason to restart it"
        );
        test.network.server.start().await?;
        test.network.operator.await_ready().await
    })
    .await
}

#[tokio::test]
async fn an_operator_with_another_secret_says_so_and_does_nothing() -> Result<()> {
    scenario(Layout::agents(1).loaded(), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("secret").await?;
        let counter = test.counter(&namespace, &kind, "c", 2).await?;
        let file = test.network.control_secret.clone();
        let secret = fs::read_to_string(&file)?;

        test.network.operator.kill().await?;
        fs::write(&file, "not the secret")?;
        test.network.operator.spawn()?;
        let operator = &test.network.operator;
        eventually(SOON, "it says that the secret is wrong", async || {
            let (status, body) = operator.page("/readyz").await?;
            ensure!(status == 503 && body.contains("secret"), "{status}: {body}");
            Ok(())
        })
        .await?;
        counter.lives_on(&test.live).await?;
        let now = test.cluster.claims(&namespace).get("c").await?;
        assert!(now.is("Bound"), "{}", now.shown());

        test.network.operator.kill().await?;
        fs::write(&file, secret)?;
        test.network.operator.start().await?;
        counter.lives_on(&test.live).await
    })
    .await
}

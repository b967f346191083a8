//! The cluster with nodes itself: what the chart and its tests rely on. It kills and cuts off the
//! nodes that all tests share, so its tests run one after another.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Echo, NODES, NOTICED, eventually, kubectl, measured, on_cluster, until_ready_is, while_cut,
    while_killed,
};
use k8s_openapi::api::core::v1::Node;
use kube::Api;

/// A node that comes back first gives up connections from before.
const BACK: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn every_node_has_a_zone_and_a_name() -> Result<()> {
    on_cluster(async |cluster| {
        let nodes: Api<Node> = Api::all(cluster.client());
        let mut labels = BTreeSet::new();
        for node in nodes.list(&Default::default()).await?.items {
            let of_node = node.metadata.labels.unwrap_or_default();
            let label = |key: &str| of_node.get(key).cloned().unwrap_or_default();
            labels.insert((
                node.metadata.name.unwrap_or_default(),
                label("kubernetes.io/hostname"),
                label("topology.kubernetes.io/zone"),
            ));
        }
        let expected = [1, 2, 3].map(|number| format!("node-{number}"));
        let expected = expected
            .into_iter()
            .zip(["zone-a", "zone-b", "zone-c"])
            .map(|(name, zone)| (name.clone(), name, zone.to_owned()));
        assert_eq!(labels, expected.collect());
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn pods_reach_each_other_and_services_by_name() -> Result<()> {
    on_cluster(async |cluster| {
        let echo = Echo::start(cluster, NODES.len()).await?;
        let pods = echo.all().await?;
        let nodes: BTreeSet<&str> = pods.iter().map(|pod| pod.node.as_str()).collect();
        assert_eq!(nodes.len(), NODES.len(), "each is on a node of its own");
        for from in &pods {
            for to in &pods {
                assert_eq!(echo.ask(from, &to.url).await?, to.name);
            }
            let full = format!("http://echo.{}.svc.cluster.local/", echo.namespace);
            for url in ["http://echo/", &full] {
                let what = format!("{url} is answered on {}", from.node);
                let answer = eventually(NOTICED, &what, async || echo.ask(from, url).await).await?;
                assert!(pods.iter().any(|pod| pod.name == answer), "{answer}");
            }
            let log = kubectl(&["logs", "--namespace", &echo.namespace, &from.name]).await?;
            assert!(log.contains("listening"), "{log}");
        }
        let unknown = echo.ask(&pods[0], "http://nowhere.example/").await;
        let error = unknown.err().context("a name outside was found")?;
        assert!(error.to_string().contains("no such host"), "{error:#}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn a_killed_node_is_lost_and_comes_back() -> Result<()> {
    on_cluster(async |cluster| {
        let echo = Echo::start(cluster, NODES.len()).await?;
        let asking = echo.on("node-1").await?;
        let before = echo.on("node-2").await?;
        assert_eq!(echo.ask(&asking, &before.url).await?, before.name);
        while_killed("node-2", async || {
            let killed = Instant::now();
            until_ready_is(cluster, "node-2", "Unknown", NOTICED).await?;
            measured("a killed node is noticed", killed.elapsed());
            assert!(echo.ask(&asking, &before.url).await.is_err());
            // Its Pod leaves the Service's endpoints; a Service that is answered once may still
            // have it among others.
            eventually(NOTICED, "the Service does without it", async || {
                for _ in 0..10 {
                    let answer = echo.ask(&asking, "http://echo/").await?;
                    ensure!(answer != before.name, "a dead Pod answers");
                }
                Ok(())
            })
            .await
        })
        .await?;
        until_ready_is(cluster, "node-2", "True", BACK).await?;
        eventually(BACK, "its Pod runs again", async || {
            let now = echo.on("node-2").await?;
            ensure!(now.uid == before.uid, "it is another Pod");
            ensure!(now.restarts > before.restarts, "the old container is shown");
            ensure!(echo.ask(&asking, &now.url).await? == now.name);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn a_node_that_is_cut_off_runs_on() -> Result<()> {
    on_cluster(async |cluster| {
        let echo = Echo::start(cluster, NODES.len()).await?;
        let asking = echo.on("node-1").await?;
        let before = echo.on("node-3").await?;
        assert_eq!(echo.ask(&asking, &before.url).await?, before.name);
        while_cut("node-3", async || {
            let cut = Instant::now();
            assert!(echo.ask(&asking, &before.url).await.is_err());
            until_ready_is(cluster, "node-3", "Unknown", NOTICED).await?;
            measured("a node that is cut off is noticed", cut.elapsed());
            Ok(())
        })
        .await?;
        let healed = Instant::now();
        until_ready_is(cluster, "node-3", "True", BACK).await?;
        measured("a node that was cut off is ready again", healed.elapsed());
        eventually(BACK, "its Pod answers", async || {
            let answer = echo.ask(&asking, &before.url).await?;
            ensure!(answer == before.name);
            Ok(())
        })
        .await?;
        assert_eq!(
            echo.on("node-3").await?,
            before,
            "nothing was started again"
        );
        Ok(())
    })
    .await
}

//! A real Prometheus, with the configuration that the documentation names, scrapes what the chart
//! installs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use huly_tests::{Component, Prometheus, Release, eventually, kubectl, on_nodes};
use serde_json::json;

const CONFIGURATION: &str = include_str!("../../examples/prometheus/prometheus.yml");

/// What is claimed for the operator to count.
const CLAIMS: [&str; 2] = ["one", "another"];

/// Many looks of a second each.
const FOUND: Duration = Duration::from_secs(30);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn every_pod_is_scraped_once() -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        let mut pods = BTreeMap::new();
        for component in [Component::Server, Component::Operator, Component::Agent] {
            for pod in release.pods(component).await? {
                pods.insert(pod.name, pod.node);
            }
        }
        ensure!(pods.len() >= 5, "there are {pods:?}");
        let prometheus = Prometheus::start(CONFIGURATION).await?;

        eventually(FOUND, "every Pod is up", async || {
            let up = prometheus.query("up").await?;
            ensure!(up.len() == pods.len(), "targets: {up:#?}");
            for target in &up {
                ensure!(target.value == 1.0, "it is down: {target:?}");
                let node = pods.get(target.label("pod"));
                ensure!(
                    node.is_some_and(|node| node == target.label("node"))
                        && target.label("namespace") == release.namespace,
                    "it is no Pod of the release: {target:?}"
                );
            }
            Ok(())
        })
        .await?;

        let agents = release.agents().await?;
        eventually(FOUND, "every agent is registered", async || {
            let sessions = prometheus.query("huly_agent_session_up").await?;
            ensure!(sessions.len() == agents.len(), "{sessions:#?}");
            for agent in &agents {
                let session = sessions
                    .iter()
                    .find(|session| session.label("pod") == agent.name);
                ensure!(
                    session.is_some_and(
                        |session| session.value == 1.0 && session.label("component") == "agent"
                    ),
                    "{}: {sessions:#?}",
                    agent.name
                );
            }
            Ok(())
        })
        .await?;
        let kind = cluster.kind("echo", json!({})).await?;
        let namespace = cluster.namespace("watched").await?;
        for name in CLAIMS {
            let spec = json!({ "containerKindName": kind });
            cluster.create_claim(&namespace, name, spec).await?;
        }
        eventually(FOUND, "agents and claims are counted", async || {
            // A test before may have left some that are about to go.
            let get = [
                "get",
                "containerclaims",
                "--all-namespaces",
                "--output=name",
            ];
            let claims = kubectl(&get).await?.lines().count();
            ensure!(claims >= CLAIMS.len(), "there are {claims}");
            for (metric, count) in [
                ("huly_network_agents", agents.len()),
                ("huly_operator_claims", claims),
            ] {
                let found = prometheus.query(&format!("sum({metric})")).await?;
                let found: Vec<f64> = found.iter().map(|found| found.value).collect();
                let expected = f64::from(u32::try_from(count)?);
                ensure!(found == [expected], "{metric} is {found:?}, not {expected}");
            }
            Ok(())
        })
        .await
    })
    .await
}

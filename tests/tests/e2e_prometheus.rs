//! A real Prometheus, with the configuration that the documentation names, scrapes what the chart
//! installs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use huly_tests::{Component, Prometheus, Release, eventually, on_nodes};

const CONFIGURATION: &str = include_str!("../../examples/prometheus/prometheus.yml");

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
        for (metric, value) in [("huly_network_agents", 3.0), ("huly_operator_claims", 0.0)] {
            let found = prometheus.query(&format!("sum({metric})")).await?;
            ensure!(
                found.len() == 1 && found[0].value >= value,
                "{metric}: {found:?}"
            );
        }
        Ok(())
    })
    .await
}

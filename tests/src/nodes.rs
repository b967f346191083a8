//! The nodes of a cluster that `cargo xtask test nodes` starts: what can happen to them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::settings::variable;
use crate::tools::{kubectl, printed};
use crate::undo::and_undo;

/// The names of the nodes.
pub const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// More than twice what the controller manager waits before it takes a node for lost.
pub const NOTICED: Duration = Duration::from_secs(30);

/// The nodes but one.
pub fn others(node: &str) -> Vec<&'static str> {
    NODES.into_iter().filter(|other| *other != node).collect()
}

/// Kills a node, as a loss of power does, and starts it again when the story has been told,
/// whatever that came to.
///
/// # Errors
/// The story's, or when the node does not die or come back.
pub async fn while_killed(node: &str, story: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    between(node, ["kill", "start"], story).await
}

/// Cuts a node off from all others, and mends its cable when the story has been told, whatever
/// that came to.
///
/// # Errors
/// The story's, or when the cable cannot be cut or mended.
pub async fn while_cut(node: &str, story: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    between(node, ["cut", "heal"], story).await
}

/// Lets no Pod come to these nodes but those of DaemonSets, until the story has been told, whatever
/// that came to.
///
/// # Errors
/// The story's, or when the API server refuses.
pub async fn while_cordoned(nodes: &[&str], story: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    kubectl(&[&["cordon"], nodes].concat()).await?;
    and_undo(story(), async {
        kubectl(&[&["uncordon"], nodes].concat()).await.map(drop)
    })
    .await
}

async fn between(
    node: &str,
    [before, after]: [&str; 2],
    story: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    act(before, node).await?;
    and_undo(story(), act(after, node)).await
}

async fn act(action: &str, node: &str) -> Result<()> {
    let environment = std::env::var("HULY_TEST_ENVIRONMENT").context(
        "HULY_TEST_ENVIRONMENT is not set: this test needs nodes, which `cargo xtask test nodes` starts",
    )?;
    let mut command = Command::new(variable("HULY_TEST_XTASK")?);
    command.args(["node", action, node, "--environment", &environment]);
    printed(command).await.map(|_| ())
}

/// Waits until Kubernetes says this of a node's readiness: `True`, or `Unknown` of a lost one.
///
/// # Errors
/// When it does not by the deadline.
pub async fn until_ready_is(
    cluster: &Cluster,
    node: &str,
    expected: &str,
    deadline: Duration,
) -> Result<()> {
    let what = format!("{node} is Ready={expected}");
    eventually(deadline, &what, async || {
        ready_is(cluster, node, expected).await
    })
    .await
}

/// Expects Kubernetes to say this of a node's readiness now.
///
/// # Errors
/// When it says something else.
pub async fn ready_is(cluster: &Cluster, node: &str, expected: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let status = nodes.get(node).await?.status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let ready = conditions.iter().find(|one| one.type_ == "Ready");
    let ready = ready.map(|one| one.status.as_str());
    ensure!(ready == Some(expected), "{node} is Ready={ready:?}");
    Ok(())
}

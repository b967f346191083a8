//! A cluster with nodes as people have it: made, used and ended by the commands of this program.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command::{self, Program};
use crate::environment::nodes::Tools;
use crate::images::Image;
use crate::report::{show, step};
use crate::workspace::Workspace;

/// The zones that the documentation says the nodes are in.
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// A command of this very program, even if cargo has put another in its place.
pub(super) fn this<A: AsRef<OsStr>>(
    workspace: &Workspace,
    arguments: impl IntoIterator<Item = A>,
) -> Program {
    Program::new("/proc/self/exe")
        .arguments(arguments)
        .folder(&workspace.root)
}

/// Starts a cluster with three nodes that have an image; returns what is said of how to go on.
///
/// # Errors
/// When it does not come up, or does not say how it is ended.
pub(super) async fn up(workspace: &Workspace, name: &str, image: &Path) -> Result<String> {
    let up = this(workspace, ["up", "--nodes", "3", "--name", name]);
    let up = up.argument("--image").argument(image);
    let said = shown("Start three nodes: up", up).await?;
    for expected in [
        "\nA cluster with 3 nodes is up after ".to_owned(),
        format!("\n    cargo xtask down --name {name}\n"),
    ] {
        ensure!(said.contains(&expected), "up does not say {expected:?}");
    }
    Ok(said)
}

/// Brings images onto every node.
///
/// # Errors
/// When one cannot be loaded.
pub(super) async fn load(workspace: &Workspace, name: &str, images: &[Image]) -> Result<()> {
    let load = this(workspace, ["node", "load", "--name", name]);
    let load = load.arguments(images.iter().map(|image| &image.archive));
    shown("Load the images on every node", load).await.map(drop)
}

/// Types what `up` has said, as far as it looks at the cluster: every node is ready and in its zone, and the shell
/// has the programs of the cluster.
///
/// # Errors
/// When a command fails, or finds something else.
pub(super) async fn look(said: &str, tools: Tools<'_>) -> Result<()> {
    let commands = said.lines().map(str::trim_start);
    let mut typed: Vec<&str> = commands
        .filter(|line| line.starts_with("source ") || line.starts_with("kubectl "))
        .collect();
    typed.extend(["command -v kubectl helm", "helm version --short"]);
    let bash = Program::new("bash").arguments(["-o", "errexit", "-c", &typed.join("\n")]);
    let found = shown("Look at the cluster as up says", bash).await?;
    is_a_cluster(&found)?;
    for program in [tools.cluster.kubectl(), tools.cluster.helm()] {
        let shown = program.to_string_lossy();
        ensure!(found.lines().any(|line| line == shown), "no {shown}");
    }
    Ok(())
}

/// Expects a line of each node, ready and in its zone.
fn is_a_cluster(found: &str) -> Result<()> {
    for (zone, number) in ZONES.iter().zip(1..) {
        let node = format!("node-{number}");
        let mut lines = found.lines().map(str::split_whitespace);
        let line = lines.find(|line| line.clone().next() == Some(&node));
        let words: Vec<&str> = line
            .with_context(|| format!("there is no {node}"))?
            .collect();
        ensure!(
            words.get(1) == Some(&"Ready") && words.last() == Some(zone),
            "it is not ready, or not in {zone}: {}",
            words.join(" ")
        );
    }
    Ok(())
}

/// Kills a node and cuts another off, so that the cluster's end meets them so.
///
/// # Errors
/// When one of them does not run.
pub(super) async fn hurt(workspace: &Workspace, name: &str) -> Result<()> {
    for (action, node) in [("kill", "node-2"), ("cut", "node-3")] {
        let command = this(workspace, ["node", action, node, "--name", name]);
        command::stream(command).await?;
    }
    Ok(())
}

/// Ends a cluster.
///
/// # Errors
/// When something of it cannot be ended.
pub(super) async fn down(workspace: &Workspace, name: &str) -> Result<()> {
    let down = this(workspace, ["down", "--name", name]);
    shown("Take the cluster down", down).await.map(drop)
}

/// Runs a command as a step, and shows and returns what it prints.
async fn shown(what: &str, command: Program) -> Result<String> {
    let said = step(what, command::capture(command)).await?;
    show(&said);
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_ready_each_in_its_zone() {
        let good = "NAME     STATUS   ROLES    AGE   VERSION   ZONE\n\
                    node-1   Ready    <none>   9s    v1.36.3   zone-a\n\
                    node-2   Ready    <none>   9s    v1.36.3   zone-b\n\
                    node-3   Ready    <none>   9s    v1.36.3   zone-c\n";
        is_a_cluster(good).unwrap();
        for (what, other) in [
            ("node-2", "node-4"),
            ("zone-b", "zone-a"),
            ("node-3   Ready", "node-3   NotReady"),
        ] {
            let bad = good.replace(what, other);
            assert!(is_a_cluster(&bad).is_err(), "{bad}");
        }
    }
}

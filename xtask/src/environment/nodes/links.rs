//! The wires: a bridge for the cluster, a cable from it to each node.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::plan::{Node, Plan, bridge};
use super::slot::InUse;
use crate::command::{self, Program};
use crate::environment::Identity;

#[derive(Deserialize)]
struct Interface {
    ifname: String,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
}

/// The interfaces and networks of this machine.
pub(super) async fn in_use() -> Result<InUse> {
    let routes: Vec<Route> = list(&["route", "show"]).await?;
    Ok(InUse {
        interfaces: interfaces().await?,
        networks: routes
            .iter()
            .filter_map(|route| network(&route.dst))
            .collect(),
    })
}

async fn interfaces() -> Result<Vec<String>> {
    let links: Vec<Interface> = list(&["link", "show"]).await?;
    Ok(links.into_iter().map(|link| link.ifname).collect())
}

async fn list<T: serde::de::DeserializeOwned>(what: &[&str]) -> Result<Vec<T>> {
    let said = command::capture(
        Program::new("ip")
            .arguments(["-4", "-json"])
            .arguments(what),
    );
    let said = said.await?;
    // Some versions say nothing at all where there is nothing to list.
    if said.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&said).context("cannot understand what ip says")
}

/// A destination as `ip` writes it: `10.0.0.0/8`, or one address; `default` is none.
fn network(text: &str) -> Option<(std::net::Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    Some((address.parse().ok()?, length.parse().ok()?))
}

/// Makes the bridge, with the host's address on it and the ways to the nodes' Pods.
pub(super) async fn make_bridge(plan: Plan) -> Result<()> {
    let bridge = plan.bridge();
    ip(&["link", "add", &bridge, "type", "bridge"]).await?;
    let address = format!("{}/24", plan.host());
    ip(&["address", "add", &address, "dev", &bridge]).await?;
    ip(&["link", "set", &bridge, "up"]).await?;
    for node in plan.nodes() {
        way(None, &node).await?;
    }
    Ok(())
}

/// Whether the machine's firewall decides what passes between nodes.
pub(super) fn is_filtered() -> bool {
    fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables")
        .is_ok_and(|value| value.trim() == "1")
}

/// Removes a slot's bridge and what is left of its cables.
pub(super) async fn remove(slot: u8) -> Result<()> {
    let bridge = bridge(slot);
    let cable = format!("{bridge}n");
    for interface in interfaces().await? {
        if interface == bridge || interface.starts_with(&cable) {
            delete(&interface).await?;
        }
    }
    Ok(())
}

/// Deletes an interface, unless the kernel does, which ends a cable with the node at its end.
async fn delete(interface: &str) -> Result<()> {
    let deleted = ip(&["link", "delete", interface]).await;
    if deleted.is_err() && !interfaces().await?.iter().any(|name| name == interface) {
        return Ok(());
    }
    deleted
}

/// Connects a node, which `init` is the first process of, with the bridge.
pub(super) async fn plug(plan: Plan, node: &Node, init: &Identity) -> Result<()> {
    let pid = init.pid.to_string();
    let link = node.link.as_str();
    let peer = ["type", "veth", "peer", "name", "eth0", "netns", &pid];
    ip(&[&["link", "add", link], peer.as_slice()].concat()).await?;
    ip(&["link", "set", link, "master", &plan.bridge(), "up"]).await?;
    let inside = Some(init);
    let address = format!("{}/24", node.address);
    ip_in(inside, &["link", "set", "lo", "up"]).await?;
    ip_in(inside, &["address", "add", &address, "dev", "eth0"]).await?;
    ip_in(inside, &["link", "set", "eth0", "up"]).await?;
    let host = plan.host().to_string();
    ip_in(inside, &["route", "add", "default", "via", &host]).await?;
    for other in plan.nodes() {
        if other != *node {
            way(inside, &other).await?;
        }
    }
    Ok(())
}

/// Removes a node's cable.
pub(super) async fn unplug(node: &Node) -> Result<()> {
    delete(&node.link).await
}

/// Lets nothing through a node's cable, or lets all through again.
pub(super) async fn set(node: &Node, on: bool) -> Result<()> {
    let state = if on { "up" } else { "down" };
    ip(&["link", "set", &node.link, state]).await
}

async fn way(inside: Option<&Identity>, to: &Node) -> Result<()> {
    let pods = format!("{}/24", to.pods);
    let via = to.address.to_string();
    ip_in(inside, &["route", "add", &pods, "via", &via]).await
}

async fn ip(arguments: &[&str]) -> Result<()> {
    ip_in(None, arguments).await
}

async fn ip_in(inside: Option<&Identity>, arguments: &[&str]) -> Result<()> {
    let program = match inside {
        None => Program::new("ip"),
        Some(init) => Program::new("nsenter").arguments([
            format!("--target={}", init.pid),
            "--net".to_owned(),
            "ip".to_owned(),
        ]),
    };
    command::capture(program.arguments(arguments)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn destinations_are_networks_or_nothing() {
        let range = Ipv4Addr::new(10, 1, 0, 0);
        assert_eq!(network("10.1.0.0/16"), Some((range, 16)));
        assert_eq!(network("10.1.0.0"), Some((range, 32)));
        assert_eq!(network("default"), None);
    }
}

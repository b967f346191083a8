//! Who is who in a cluster with nodes: names and addresses, all told from one small number.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// How many clusters with nodes a machine can have at once.
pub(super) const SLOTS: u8 = 64;

/// How many nodes a cluster can have.
pub(crate) const MOST_NODES: u8 = 16;

/// The second number of the first slot's addresses: 10.128.0.0/16, 10.129.0.0/16, …
/// The Services' range (10.96.0.0/16), which each cluster has for itself, lies below.
const FIRST_RANGE: u8 = 128;

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// A cluster's place on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// No other cluster on this machine has this number.
    pub(crate) slot: u8,
    /// How many nodes it has.
    pub(crate) count: u8,
}

/// One node's names and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// What Kubernetes calls it.
    pub(crate) name: String,
    pub(crate) zone: &'static str,
    /// Its address on the bridge.
    pub(crate) address: Ipv4Addr,
    /// The first address of its Pods' range, a /24.
    pub(crate) pods: Ipv4Addr,
    /// The host's end of its cable.
    pub(crate) link: String,
    /// What its control groups are called.
    pub(crate) space: String,
}

impl Plan {
    /// The bridge that all nodes are on.
    pub(crate) fn bridge(self) -> String {
        bridge(self.slot)
    }

    /// The bridge's own address, where the control plane and DNS answer.
    pub(crate) fn host(self) -> Ipv4Addr {
        self.address(0, 1)
    }

    /// The nodes, in order.
    pub(crate) fn nodes(self) -> Vec<Node> {
        (1..=self.count)
            .zip(ZONES.into_iter().cycle())
            .map(|(number, zone)| Node {
                name: format!("node-{number}"),
                zone,
                address: self.address(0, 10 + number),
                pods: self.address(number, 0),
                link: format!("{}n{number}", self.bridge()),
                space: format!("{}node-{number}", space_prefix(self.slot)),
            })
            .collect()
    }

    /// The node of this name.
    ///
    /// # Errors
    /// Names those that there are.
    pub(crate) fn node(self, name: &str) -> Result<Node> {
        let mut nodes = self.nodes();
        let Some(place) = nodes.iter().position(|node| node.name == name) else {
            let names: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
            bail!("there is no node {name:?}, only {}", names.join(", "));
        };
        Ok(nodes.swap_remove(place))
    }

    fn address(self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, FIRST_RANGE + self.slot, third, fourth)
    }
}

/// The bridge of a slot: its name is at most 6 characters, a link's at most 9 of the 15 allowed.
pub(super) fn bridge(slot: u8) -> String {
    format!("huly{slot}")
}

/// What the names of a slot's control groups begin with.
pub(super) fn space_prefix(slot: u8) -> String {
    format!("{}-", bridge(slot))
}

/// The range of a slot's addresses, a /16.
pub(super) fn range(slot: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, FIRST_RANGE + slot, 0, 0)
}

/// Refuses a number of nodes that there can not be.
pub(crate) fn check_count(text: &str) -> Result<u8> {
    text.parse()
        .ok()
        .filter(|count| (1..=MOST_NODES).contains(count))
        .with_context(|| format!("a cluster has 1 to {MOST_NODES} nodes, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_of_two_clusters_is_the_same_but_the_nodes_names() {
        let mut seen = BTreeSet::new();
        let mut expected = 0;
        for slot in 0..SLOTS {
            let plan = Plan {
                slot,
                count: MOST_NODES,
            };
            seen.extend([plan.bridge(), plan.host().to_string()]);
            expected += 2;
            for node in plan.nodes() {
                assert!(node.link.len() <= 15, "{} is no interface name", node.link);
                assert_eq!(node.address.octets()[..2], range(slot).octets()[..2]);
                seen.extend([
                    node.address.to_string(),
                    node.pods.to_string(),
                    node.link,
                    node.space,
                ]);
                expected += 4;
            }
        }
        assert_eq!(seen.len(), expected);
    }

    #[test]
    fn a_node_is_found_by_its_name_and_has_a_zone() {
        let plan = Plan { slot: 3, count: 4 };
        let zones: Vec<&str> = plan.nodes().iter().map(|node| node.zone).collect();
        assert_eq!(zones, ["zone-a", "zone-b", "zone-c", "zone-a"]);
        let node = plan.node("node-2").unwrap();
        assert_eq!(node.address, Ipv4Addr::new(10, 131, 0, 12));
        assert_eq!(node.pods, Ipv4Addr::new(10, 131, 2, 0));
        let error = plan.node("node-5").unwrap_err().to_string();
        assert!(error.contains("node-4"), "{error}");
    }

    #[test]
    fn a_cluster_has_a_number_of_nodes_that_fits_its_addresses() {
        assert_eq!(check_count("3").unwrap(), 3);
        for wrong in ["0", "17", "-1", "three", ""] {
            assert!(check_count(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}

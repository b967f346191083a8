//! Free ports on loopback, told apart from those of other environments.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Result, bail};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Below the ports that systems hand out to outgoing connections, so that a server that is ended
/// for a moment finds its port free again.
const RANGE: Range<u16> = 20_000..30_000;

/// The ports of one environment, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) apiserver: u16,
    pub(crate) network: u16,
    pub(crate) network_http: u16,
    pub(crate) operator_http: u16,
    /// One entry per agent.
    pub(crate) agents: [AgentPorts; 2],
}

/// The ports of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentPorts {
    pub(crate) listen: u16,
    pub(crate) http: u16,
}

impl Ports {
    /// Finds ports that nobody listens on and that are not in `taken`.
    pub(crate) fn choose(taken: &BTreeSet<u16>) -> Result<Self> {
        let mut found = free(taken, 10)?.into_iter();
        let mut next = || found.next().unwrap_or_default();
        Ok(Self {
            etcd: next(),
            etcd_peer: next(),
            apiserver: next(),
            network: next(),
            network_http: next(),
            operator_http: next(),
            agents: [
                AgentPorts {
                    listen: next(),
                    http: next(),
                },
                AgentPorts {
                    listen: next(),
                    http: next(),
                },
            ],
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = u16> {
        let own = [
            self.etcd,
            self.etcd_peer,
            self.apiserver,
            self.network,
            self.network_http,
            self.operator_http,
        ];
        own.into_iter().chain(
            self.agents
                .into_iter()
                .flat_map(|agent| [agent.listen, agent.http]),
        )
    }
}

fn free(taken: &BTreeSet<u16>, count: usize) -> Result<BTreeSet<u16>> {
    let mut random = rand::rng();
    let mut found = BTreeSet::new();
    for _ in 0..1_000 {
        if found.len() == count {
            return Ok(found);
        }
        let port = random.random_range(RANGE);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.insert(port);
        }
    }
    bail!(
        "found only {} of {count} free ports in {RANGE:?}",
        found.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_differ_and_can_be_bound() {
        let ports = Ports::choose(&BTreeSet::new()).unwrap();
        let all: BTreeSet<u16> = ports.all().collect();
        assert_eq!(all.len(), 10);
        for port in all {
            assert!(RANGE.contains(&port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn taken_ports_are_left_alone() {
        let taken: BTreeSet<u16> = RANGE.filter(|port| port % 10 != 0).collect();
        let ports = Ports::choose(&taken).unwrap();
        assert!(ports.all().all(|port| port % 10 == 0));
    }

    #[test]
    fn no_port_left_is_an_error() {
        let error = Ports::choose(&RANGE.collect()).unwrap_err();
        assert!(error.to_string().contains("0 of 10"), "{error}");
    }
}

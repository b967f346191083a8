use std::collections::BTreeMap;
use std::time::Duration;

/// What a registry has counted since its start. Keys are bounded: methods, outcomes, reasons.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// Requests of clients by method and outcome (`ok` or an error's code).
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Messages that are not the protocol, by reason.
    pub bad_messages: BTreeMap<&'static str, u64>,
    /// Failovers by reason.
    pub failovers: BTreeMap<&'static str, u64>,
    /// Starts of containers by outcome.
    pub starts: BTreeMap<&'static str, u64>,
    /// Containers ended by reason.
    pub ends: BTreeMap<&'static str, u64>,
    /// Connections that were cut, for their peers did not read.
    pub cuts: u64,
    /// Agents lost by reason.
    pub agents_lost: BTreeMap<&'static str, u64>,
    /// How long failovers took, from the last sign of life, summed up.
    pub failover_time: Duration,
}

impl Counted {
    pub(crate) fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
        *counts.entry(key).or_default() += 1;
    }
}

/// What a registry holds at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Whether agents may still register containers that are not known yet.
    pub settling: bool,
    /// The term, in ms since 1970.
    pub term: u64,
    /// Client sessions: of TypeScript peers, of Rust peers.
    pub sessions: (usize, usize),
    /// Agents by state: `Live`, `Suspected`, `Draining`.
    pub agents: BTreeMap<&'static str, usize>,
    /// Living containers by kind.
    pub containers: BTreeMap<String, usize>,
    /// Containers that stand by, by kind.
    pub standbys: BTreeMap<String, usize>,
    /// Containers that are wanted and not placed, by kind.
    pub waiting: BTreeMap<String, usize>,
    /// References by kind.
    pub references: BTreeMap<String, usize>,
    /// Requests and gets that are held for a container or its agent, and their bytes.
    pub held: (usize, usize),
    /// Containers in registrations of which chunks are still to come.
    pub chunked: usize,
    /// Calls to agents that are not answered yet.
    pub calls: usize,
    /// Bytes of those that are clients' requests.
    pub call_bytes: usize,
    /// Kinds with a specification.
    pub kinds: usize,
    /// What was counted.
    pub counted: Counted,
}

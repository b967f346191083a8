use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::PodRef;
use uuid::Uuid;

/// What an agent's core is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The agent's id.
    pub agent: String,
    /// Random per process: the uuids that the core makes are derived from it.
    pub instance: Uuid,
    /// The host that clients reach the agent's own ROUTER by.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The kinds that the agent can host.
    pub kinds: BTreeSet<String>,
    /// Uuids of which a container is made beforehand, each with its kind.
    pub stateless: BTreeMap<String, String>,
    /// The agent labels.
    pub labels: BTreeMap<String, String>,
    /// The name of the node that it runs on.
    pub node: Option<String>,
    /// The Pod that it runs in.
    pub pod: Option<PodRef>,
    /// How long a request may wait for its container or for the lease.
    pub hold: Duration,
    /// Requests that may wait for one container.
    pub waiting_calls: usize,
    /// Requests to one container that may be without an answer: those that wait and those that run.
    pub calls_per_container: usize,
    /// Bytes of their data; one request is always taken.
    pub bytes_per_container: usize,
    /// How long answers are remembered.
    pub answers_window: Duration,
    /// How many bytes of answers are remembered.
    pub answers_bytes: usize,
    /// Requests to containers that one client of a ROUTER may have in flight at once.
    pub requests_in_flight: usize,
    /// Bytes of them; one request is always taken.
    pub bytes_in_flight: usize,
    /// The largest payload that clients of a ROUTER are told to send, in bytes.
    pub message_bytes: u64,
    /// Clients that are away and whose connections to containers are remembered (W27).
    pub absent_clients: usize,
    /// Containers that are ended at once when the agent leaves.
    pub drain_at_once: usize,
    /// How long the agent's leaving may take in all.
    pub drain_timeout: Duration,
    /// How often a container is asked whether it is well; zero: never, but for gets that a server
    /// passes on.
    pub ping_interval: Duration,
    /// How long it may take to answer that.
    pub ping_timeout: Duration,
    /// How long after a failed registration the next is tried.
    pub register_again: Duration,
    /// What the boot clock's zero is in ms since 1970, for the times in records (W29).
    pub zero_ms: f64,
}

impl Config {
    /// The defaults for an agent that is reached at `host:port`.
    pub fn new(agent: impl Into<String>, instance: Uuid, host: &str, port: u16) -> Self {
        Self {
            agent: agent.into(),
            instance,
            host: host.to_owned(),
            port,
            kinds: BTreeSet::new(),
            stateless: BTreeMap::new(),
            labels: BTreeMap::new(),
            node: None,
            pod: None,
            hold: Duration::from_secs(30),
            waiting_calls: 1_024,
            calls_per_container: 8_192,
            bytes_per_container: 64 << 20,
            answers_window: Duration::from_secs(60),
            answers_bytes: 16 << 20,
            requests_in_flight: 4_096,
            bytes_in_flight: 32 << 20,
            message_bytes: 16 << 20,
            absent_clients: 10_000,
            drain_at_once: 64,
            drain_timeout: Duration::from_secs(50),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            register_again: Duration::from_secs(1),
            zero_ms: 0.0,
        }
    }
}

use std::time::Duration;

use huly_protocol::{Secret, lease};

/// What a registry is told once, at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The uuid of the server process, random.
    pub instance: String,
    /// Name of the network.
    pub network: String,
    /// The first term: when the process started, in ms since 1970.
    pub term: u64,
    /// What the operator must say to set kinds and hold durable references; without one nobody can.
    pub control_secret: Option<Secret>,
    /// The largest payload that is told to peers, in bytes.
    pub message_bytes: u64,
    /// Requests of one client that may be in flight at once.
    pub requests_in_flight: u32,
    /// Requests to one container that may be without an answer at once, of all clients.
    pub calls_per_container: u32,
    /// Bytes of them.
    pub container_bytes: usize,
    /// Bytes of the requests of one client that may be at agents without an answer.
    pub sender_bytes: usize,
    /// The same of all clients.
    pub call_bytes: usize,
    /// Bytes of registrations of one client of which chunks are still to come.
    pub registration_bytes: usize,
    /// An agent's lease, from its sending of the ping that was answered.
    pub lease: Duration,
    /// The longest lease that a server before this one may have given.
    pub former_lease: Duration,
    /// How long after the start, or after the first peer that knew another server, a container that
    /// is not known yet may still be registered by its agent: no uuid is placed anew before.
    pub settle: Duration,
    /// How long after the start no container that lived before is ended for want of references.
    pub orphan_grace: Duration,
    /// How long the containers of a Rust agent whose connection closed stay with it.
    pub grace: Duration,
    /// The same for a TypeScript agent.
    pub plain_grace: Duration,
    /// How long nothing may be written to a peer for which something waits: a connection that closes
    /// after so long a silence was given up by this side.
    pub write_timeout: Duration,
    /// Silence after which a client is forgotten that did not say its own alive timeout.
    pub alive_timeout: Duration,
    /// How long the process has to run after nothing seemed to wait to be read, until what had come by
    /// then is handed on: what came in a pause that was too short to be noticed, and connections that
    /// waited to be accepted.
    pub round: Duration,
    /// How long a call may be held: for a start, a failover or settling.
    pub hold_timeout: Duration,
    /// Bytes of payload that may be held in all.
    pub hold_bytes: usize,
    /// Agents or containers in one chunk of the feed's snapshot; containers of large texts are fewer.
    pub snapshot_chunk: usize,
    /// How long after the start the term is raised over a peer's; later the server ends instead.
    pub term_window: Duration,
    /// TypeScript clients get at most one batch of events in this time.
    pub event_batch: Duration,
}

impl Config {
    /// The defaults, for a process of this instance and term.
    pub fn new(instance: impl Into<String>, term: u64) -> Self {
        Self {
            instance: instance.into(),
            network: "default".to_owned(),
            term,
            control_secret: None,
            message_bytes: 16 << 20,
            requests_in_flight: 4_096,
            calls_per_container: 8_192,
            container_bytes: 64 << 20,
            sender_bytes: 32 << 20,
            call_bytes: 256 << 20,
            registration_bytes: 512 << 20,
            lease: lease::DEFAULT,
            former_lease: lease::LONGEST,
            settle: Duration::from_millis(1_500),
            orphan_grace: Duration::from_secs(60),
            grace: Duration::from_millis(750),
            plain_grace: Duration::from_secs(1),
            write_timeout: Duration::from_secs(10),
            alive_timeout: Duration::from_secs(3),
            round: Duration::from_millis(25),
            hold_timeout: Duration::from_secs(30),
            hold_bytes: 64 << 20,
            snapshot_chunk: 500,
            term_window: Duration::from_secs(10),
            event_batch: Duration::from_millis(100),
        }
    }

    /// How long the containers of an agent of this dialect stay with it after its connection closed.
    pub(crate) fn grace_of(&self, rust: bool) -> Duration {
        if rust { self.grace } else { self.plain_grace }
    }
}

use std::collections::BTreeSet;
use std::time::Duration;

use huly_protocol::{
    ContainerRecord, Endpoint, Epoch, Failover, GetRequest, GotContainer, KindSpec, Placement,
    RecordExt, StartExt, Stateless,
};
use indexmap::IndexMap;

use crate::admission::Load;
use crate::agents::Agent;
use crate::held::HeldCall;
use crate::registry::Id;

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Somebody holds or wants it and its agent may yet register it: the server is settling.
    Expected,
    /// No agent has it: it waits to be placed.
    Waiting,
    /// An agent was told to start it.
    Starting {
        /// The agent.
        agent: Id,
        /// The id of the call.
        call: u64,
    },
    /// An agent has it.
    Live {
        /// The agent.
        agent: Id,
    },
    /// An agent was told to end it.
    Stopping {
        /// The agent.
        agent: Id,
        /// The id of the call.
        call: u64,
    },
}

/// A get that waits for its container.
#[derive(Debug, Clone)]
pub(crate) struct Waiter {
    pub(crate) client: Id,
    pub(crate) request: String,
    /// Whether the client held a reference before: else a failed get leaves it none.
    pub(crate) held_before: bool,
    /// Whether the container may be older than this get: then its client may know another place
    /// of it.
    pub(crate) again: bool,
    /// Whether this get made the container, and said on which agent.
    pub(crate) says_where: bool,
}

/// What became of a container's former life.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    /// The agent that had it.
    pub(crate) from: String,
    /// See [`Failover::reason`].
    pub(crate) reason: &'static str,
    /// The last sign of its life there.
    pub(crate) at: Duration,
    /// Whether it counts as a failover already: one does, however many starts it takes.
    pub(crate) counted: bool,
}

/// All that is known of one container uuid.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) uuid: Id,
    pub(crate) kind: Id,
    /// Its place in the order of age.
    pub(crate) seq: u64,
    pub(crate) state: State,
    /// The get that it came from; its labels are the container's.
    pub(crate) request: GetRequest,
    pub(crate) endpoint: String,
    pub(crate) epoch: Option<Epoch>,
    /// The latest life that clients knew of while the server settled.
    pub(crate) known_epoch: Option<Epoch>,
    /// The latest life that may have begun, by what this server placed or was told by agents; none
    /// before it goes on. After the latest that some agent was told to end, if that is later.
    pub(crate) begun: Option<Epoch>,
    /// An agent that was given up may have a life of it, and come back with that.
    pub(crate) astray: bool,
    /// The specification that it was placed with.
    pub(crate) spec: Option<KindSpec>,
    /// The durable holders that its agent was told.
    pub(crate) told_holders: Vec<String>,
    /// Who holds a reference; true where it is durable.
    pub(crate) holders: IndexMap<Id, bool>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) held: Vec<HeldCall>,
    /// Requests that its agent has not answered yet.
    pub(crate) running: Load,
    /// The calls that carry them.
    pub(crate) carried_by: BTreeSet<u64>,
    /// Since when nobody has held it, by a clock that stood still while the server did.
    pub(crate) idle_since: Option<Duration>,
    /// Registered by an agent: it may have holders that this server has not heard from.
    pub(crate) lived_before: bool,
    pub(crate) lost: Option<Lost>,
    pub(crate) failovers: u32,
    pub(crate) last_failover: Option<Failover>,
    pub(crate) first_client: Option<Id>,
    pub(crate) by_uuid: bool,
    /// Whether the container that has the uuid was made beforehand (W19).
    pub(crate) stateless: bool,
    /// Whether anybody knows its uuid, so that it must keep it.
    pub(crate) named: bool,
    /// Whether those who are told of containers think that it lives.
    pub(crate) announced: bool,
    /// Clients of ours that have asserted it where it was before, and were not told that it is nowhere.
    pub(crate) believers: BTreeSet<Id>,
    /// The agent that it is to start on, as the get said that made it; none once that was tried.
    pub(crate) on: Option<Id>,
    /// How often a start failed in a row.
    pub(crate) attempts: u32,
    /// Since when this server knows that it lives.
    pub(crate) live_since: Option<Duration>,
    /// How often in a row it ended by itself soon after its start.
    pub(crate) short_lives: u32,
    /// It is not placed before.
    pub(crate) not_before: Option<Duration>,
    /// No life of it that another server placed can accept requests any more.
    pub(crate) alone: bool,
    /// Who asked for it first said that it has never lived, and nobody has known it.
    pub(crate) fresh: bool,
    /// Bytes of its get that are counted while it has no agent.
    pub(crate) counted_bytes: usize,
    /// Its agent was told to end it and has not, in the time that it has for that.
    pub(crate) stop_is_late: bool,
    /// When it was last asked for, in ms since the start.
    pub(crate) last_visit: f64,
}

impl Entry {
    pub(crate) fn new(uuid: Id, kind: Id, request: GetRequest, seq: u64) -> Self {
        Self {
            uuid,
            kind,
            seq,
            state: State::Waiting,
            request,
            endpoint: String::new(),
            epoch: None,
            known_epoch: None,
            begun: None,
            astray: false,
            spec: None,
            told_holders: Vec::new(),
            holders: IndexMap::new(),
            waiters: Vec::new(),
            held: Vec::new(),
            running: Load::default(),
            carried_by: BTreeSet::new(),
            idle_since: None,
            lived_before: false,
            lost: None,
            failovers: 0,
            last_failover: None,
            first_client: None,
            by_uuid: true,
            stateless: false,
            named: true,
            announced: false,
            believers: BTreeSet::new(),
            on: None,
            attempts: 0,
            live_since: None,
            short_lives: 0,
            not_before: None,
            alone: false,
            fresh: false,
            counted_bytes: 0,
            stop_is_late: false,
            last_visit: 0.0,
        }
    }

    /// The agent that has it or is starting or ending it.
    pub(crate) fn agent(&self) -> Option<&Id> {
        match &self.state {
            State::Expected | State::Waiting => None,
            State::Starting { agent, .. }
            | State::Live { agent }
            | State::Stopping { agent, .. } => Some(agent),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    /// Whether that life of it is over for good: a later one may have begun.
    pub(crate) fn is_past(&self, life: Option<Epoch>) -> bool {
        life.is_some() && life < self.begun
    }

    /// A client turns out to have held it all the time, also when it asked for it.
    pub(crate) fn held_all_along(&mut self, client: &Id) {
        let own = |waiter: &&mut Waiter| waiter.client == *client;
        for waiter in self.waiters.iter_mut().filter(own) {
            waiter.held_before = true;
        }
    }

    /// Its present life may have begun.
    pub(crate) fn begins(&mut self) {
        self.begun = self.begun.max(self.epoch);
    }

    /// That life of it is not to go on wherever it is.
    pub(crate) fn ends(&mut self, life: Option<Epoch>) {
        let next = life.map(|life| Epoch {
            n: life.n.saturating_add(1),
            ..life
        });
        self.begun = self.begun.max(next);
    }

    /// Whether anybody holds it or waits for it.
    pub(crate) fn wanted(&self) -> bool {
        !self.holders.is_empty() || !self.waiters.is_empty()
    }

    pub(crate) fn labels(&self) -> &[String] {
        self.request.labels.as_deref().unwrap_or_default()
    }

    /// Whether its labels include all the asked ones.
    pub(crate) fn has_labels(&self, asked: &[String]) -> bool {
        asked.iter().all(|label| self.labels().contains(label))
    }

    /// Whether a get without uuid asked for the same.
    pub(crate) fn asked_alike(&self, request: &GetRequest) -> bool {
        !self.by_uuid
            && self.labels() == request.labels.as_deref().unwrap_or_default()
            && self.request.extra == request.extra
    }

    pub(crate) fn durable_holders(&self) -> Vec<String> {
        self.holders
            .iter()
            .filter(|(_, durable)| **durable)
            .map(|(client, _)| client.to_string())
            .collect()
    }

    /// What a new agent is told beside the get.
    pub(crate) fn start_ext(&self) -> StartExt {
        StartExt {
            epoch: self.epoch,
            spec: self.spec.clone(),
            holders: self.durable_holders(),
            first_client: self.first_client.as_deref().map(str::to_owned),
            by_uuid: self.by_uuid,
            failovers: self.failovers,
            last_failover: self.last_failover.clone(),
        }
    }

    /// Where it lives, for Rust peers.
    pub(crate) fn placement(&self, agent: Option<&Agent>) -> Placement {
        Placement {
            kind: self.kind.to_string(),
            agent_id: self.agent().map(|id| id.to_string()).unwrap_or_default(),
            node: agent.and_then(|agent| agent.ext.node.clone()),
            pod: agent.and_then(|agent| agent.ext.pod.clone()),
            epoch: self.epoch,
            labels: self.labels().to_vec(),
            failovers: self.failovers,
            last_failover: self.last_failover.clone(),
        }
    }

    /// The answer to a get.
    pub(crate) fn got(&self, agent: Option<&Agent>, rust: bool) -> GotContainer {
        GotContainer {
            uuid: self.uuid.to_string(),
            endpoint: self.endpoint.clone(),
            placement: rust.then(|| self.placement(agent)),
        }
    }

    /// The agent that has it, or had it when it was lost.
    fn home(&self) -> String {
        let lost = self.lost.as_ref().map(|lost| lost.from.clone());
        self.agent()
            .map(|id| id.to_string())
            .or(lost)
            .unwrap_or_default()
    }

    /// The record, for Rust peers with what is beside it.
    pub(crate) fn record(&self, rust: bool) -> ContainerRecord {
        ContainerRecord {
            agent_id: self.home(),
            uuid: self.uuid.to_string(),
            kind: self.kind.to_string(),
            endpoint: self.endpoint.clone(),
            last_visit: self.last_visit,
            extra: self.request.extra.clone(),
            labels: self.request.labels.clone(),
            huly: rust.then(|| RecordExt {
                epoch: self.epoch,
                spec: None,
                // Client ids are not for everybody; how many there are is.
                holders: Vec::new(),
                references: u32::try_from(self.holders.len()).ok(),
                failovers: self.failovers,
                last_failover: self.last_failover.clone(),
                first_client: self.first_client.as_deref().map(str::to_owned),
                by_uuid: self.by_uuid,
                stateless: self.stateless.then_some(Stateless::Owner),
                leased: false,
            }),
        }
    }

    /// Takes over what an agent says of it. Returns whether the endpoint text changed.
    pub(crate) fn adopt(&mut self, record: &ContainerRecord, agent: &Id) -> bool {
        let changed = self.endpoint != record.endpoint || self.agent() != Some(agent);
        self.endpoint.clone_from(&record.endpoint);
        self.state = State::Live {
            agent: agent.clone(),
        };
        self.on = None;
        self.attempts = 0;
        self.not_before = None;
        self.named = true;
        // A TypeScript agent's registration carries neither: what the get said stays.
        if record.labels.is_some() {
            self.request.labels.clone_from(&record.labels);
        }
        if record.extra.is_some() {
            self.request.extra.clone_from(&record.extra);
        }
        let said = epoch_of(record);
        // Of the same life this server knows the figures, and how long it took to the end.
        let knows = said == self.epoch && self.last_failover.is_some();
        if said.is_some() {
            self.epoch = said;
            self.begins();
        }
        if let Some(ext) = &record.huly {
            if ext.spec.is_some() {
                self.spec.clone_from(&ext.spec);
            }
            if ext.failovers > self.failovers || (ext.failovers == self.failovers && !knows) {
                self.failovers = ext.failovers;
                self.last_failover.clone_from(&ext.last_failover);
            }
            self.by_uuid = ext.by_uuid;
            if let Some(client) = &ext.first_client {
                self.first_client = Some(Id::from(client.as_str()));
            }
        }
        changed
    }
}

/// The epoch that a record states, in itself or in its endpoint text.
pub(crate) fn epoch_of(record: &ContainerRecord) -> Option<Epoch> {
    match &record.huly {
        Some(ext) => ext.epoch,
        None => Endpoint::parse(&record.endpoint)
            .ok()
            .and_then(|endpoint| endpoint.epoch),
    }
}

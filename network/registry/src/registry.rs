use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{Epoch, Frame};
use indexmap::{IndexMap, IndexSet};
use uuid::Uuid;

use crate::admission::Load;
use crate::agents::Agent;
use crate::calls::BackCall;
use crate::config::Config;
use crate::control::KnownKind;
use crate::entry::Entry;
use crate::feed::Feed;
use crate::fence::Fence;
use crate::get::EarlyGet;
use crate::held::HeldCall;
use crate::recent::Recent;
use crate::session::Session;
use crate::stats::{Counted, Snapshot};
use crate::timer::{Timer, Timers};

/// A text that is shared: client ids, agent ids, container uuids, kinds.
pub(crate) type Id = Arc<str>;

/// Names a connection: the identity that the ROUTER gave it.
pub type ConnId = Bytes;

/// What time it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Since any fixed moment, by a clock that never steps.
    pub mono: Duration,
    /// In ms since 1970; for people's eyes and for terms only.
    pub wall_ms: u64,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message came.
    Message {
        /// From whom.
        conn: ConnId,
        /// What.
        frame: Frame,
    },
    /// A message came that is not one of the protocol.
    Unreadable {
        /// A constant.
        reason: &'static str,
    },
    /// A connection was closed by its peer.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// A connection was given up by this side, for its peer does not read: what was sent over it may
    /// be lost, and nothing more is before another hello. Unlike a close by the peer that is no sign of
    /// a death; silence is.
    Cut {
        /// Which.
        conn: ConnId,
    },
    /// Much waits to be written to a connection, or not any more: while it is so, its agents are
    /// handed no requests.
    Slow {
        /// Which.
        conn: ConnId,
        /// Whether it is so now.
        slow: bool,
    },
    /// Little waits to be written to a connection: the answer to [`Effect::AwaitRoom`].
    Room {
        /// Which.
        conn: ConnId,
    },
    /// The time of [`Registry::next_wake`] came, and no message waits to be read: only then, and again
    /// after [`Config::round`], is what has not come taken for silence. It is a second later where there
    /// always is one, and for a quarter of a second after each pause of this process that it noticed.
    Wake,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To whom.
        conn: ConnId,
        /// What.
        frame: Frame,
    },
    /// Say, by [`Input::Room`], when little waits to be written to a connection, at once if it is so;
    /// never where it is closed or given up before.
    AwaitRoom {
        /// Which.
        conn: ConnId,
    },
    /// Write a line into the log.
    Note {
        /// What happened, for people.
        text: String,
    },
    /// End the process: a peer knows a later term, so another server took over.
    Exit {
        /// What happened, for people.
        reason: String,
    },
}

/// Who lives where and why.
pub struct Registry {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) started: Duration,
    pub(crate) term: u64,
    pub(crate) epochs: u64,
    pub(crate) ids: u64,
    pub(crate) settled: bool,
    pub(crate) settles_at: Duration,
    /// Whether a peer has come that knew another server.
    pub(crate) follows: bool,
    pub(crate) synced: bool,
    pub(crate) kinds_told: bool,

    pub(crate) conns: IndexMap<ConnId, Id>,
    pub(crate) sessions: IndexMap<Id, Session>,
    pub(crate) agents: BTreeMap<Id, Agent>,
    pub(crate) agent_seq: u64,
    /// The agents that keep a container in reserve, by its uuid.
    pub(crate) in_reserve: BTreeMap<Id, BTreeSet<Id>>,
    pub(crate) entries: IndexMap<Id, Entry>,
    /// Containers by kind, the oldest first.
    pub(crate) by_kind: BTreeMap<Id, BTreeMap<u64, Id>>,
    pub(crate) entry_seq: u64,
    pub(crate) kinds: BTreeMap<Id, KnownKind>,
    /// The number of the agent that round robin picked last, by kind.
    pub(crate) cursors: BTreeMap<Id, u64>,
    /// The same of any kind.
    pub(crate) last_pick: u64,
    /// Durable references by client: they outlive its session.
    pub(crate) durable: BTreeMap<Id, IndexSet<Id>>,
    /// Containers that a client named in its last sync and has not released since: an agent may yet
    /// register one with it among its durable holders, also when its get has failed meanwhile.
    pub(crate) named: BTreeMap<Id, BTreeSet<Id>>,
    /// The highest number of a leadership that each client with the control secret had.
    pub(crate) fencing: IndexMap<Id, u64>,
    /// Calls to agents, in the order in which they were made.
    pub(crate) calls: BTreeMap<u64, BackCall>,
    /// Those of them that are clients' requests.
    pub(crate) running: Load,
    /// Requests for containers that no agent has registered yet, while settling.
    pub(crate) early_calls: BTreeMap<Id, Vec<HeldCall>>,
    /// Gets without uuid that may be answered with a container that is not registered yet.
    pub(crate) early_gets: Vec<EarlyGet>,
    /// Lives of containers of exclusive kinds that may go on where this server knows of none.
    pub(crate) fences: BTreeMap<Id, Fence>,
    /// Of containers that may be forgotten, the lives before which agents may have some that are over.
    pub(crate) past: Recent<Id, Epoch>,
    /// Containers that wait for an agent.
    pub(crate) waiting: BTreeSet<Id>,
    /// Whether an agent has a container less than when those were last tried.
    pub(crate) freed: bool,
    pub(crate) held_bytes: usize,
    /// Bytes of the gets of containers that have had no agent yet.
    pub(crate) unplaced_bytes: usize,
    pub(crate) timers: Timers,
    /// For how long this process has not run in all, as far as it noticed.
    pub(crate) paused: Duration,
    /// From when on it is seen who is silent: some time after each pause of this process.
    pub(crate) listens_since: Duration,
    /// When nothing seemed to wait to be read, since the process last noticed that it had not run.
    pub(crate) read_all: Option<Duration>,
    /// What peers have said by then is read: silence until then is one.
    pub(crate) read_until: Duration,
    pub(crate) feed: Feed,
    pub(crate) counted: Counted,
    pub(crate) out: Vec<Effect>,
}

impl Registry {
    /// A registry that knows nobody yet.
    pub fn new(config: Config, now: Now) -> Self {
        let mut timers = Timers::default();
        let settles_at = now.mono + config.settle;
        timers.set(settles_at, Timer::Settled);
        timers.set(now.mono, Timer::Pulse);
        Self {
            term: config.term,
            now,
            started: now.mono,
            epochs: 0,
            ids: 0,
            settled: false,
            settles_at,
            follows: false,
            synced: false,
            kinds_told: false,
            conns: IndexMap::new(),
            sessions: IndexMap::new(),
            agents: BTreeMap::new(),
            agent_seq: 0,
            in_reserve: BTreeMap::new(),
            entries: IndexMap::new(),
            by_kind: BTreeMap::new(),
            entry_seq: 0,
            kinds: BTreeMap::new(),
            cursors: BTreeMap::new(),
            last_pick: 0,
            durable: BTreeMap::new(),
            named: BTreeMap::new(),
            fencing: IndexMap::new(),
            calls: BTreeMap::new(),
            running: Load::default(),
            early_calls: BTreeMap::new(),
            early_gets: Vec::new(),
            fences: BTreeMap::new(),
            past: Recent::default(),
            waiting: BTreeSet::new(),
            freed: false,
            held_bytes: 0,
            unplaced_bytes: 0,
            timers,
            paused: Duration::ZERO,
            listens_since: now.mono,
            read_all: None,
            read_until: now.mono,
            feed: Feed::default(),
            counted: Counted::default(),
            out: Vec::new(),
            config,
        }
    }

    /// Takes what happened and returns what is to be done, in order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.now = now;
        self.forgive_own_pause();
        self.drive(input);
        self.flush_feed();
        std::mem::take(&mut self.out)
    }

    /// When to come back with [`Input::Wake`] at the latest.
    pub fn next_wake(&self) -> Option<Duration> {
        self.timers.next().into_iter().chain(self.next_look()).min()
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            settling: !self.settled,
            term: self.term,
            kinds: self.kinds.len(),
            calls: self.calls.len(),
            call_bytes: self.running.bytes(),
            chunked: self.sessions.values().map(|session| session.chunked).sum(),
            counted: self.counted.clone(),
            ..Snapshot::default()
        };
        for session in self.sessions.values() {
            let sessions = &mut snapshot.sessions;
            *(if session.is_rust() {
                &mut sessions.1
            } else {
                &mut sessions.0
            }) += 1;
        }
        for agent in self.agents.values() {
            *snapshot.agents.entry(agent.state_text()).or_default() += 1;
        }
        for kind in self.agents.values().flat_map(|agent| &agent.kinds) {
            // Zeros are said for what is served, so that a series does not vanish at its end.
            snapshot.containers.entry(kind.to_string()).or_default();
            snapshot.references.entry(kind.to_string()).or_default();
        }
        let specified = self.kinds.values().map(|known| &known.spec);
        for spec in specified.filter(|spec| spec.stateless_uuid.is_some()) {
            snapshot.standbys.entry(spec.kind.clone()).or_default();
        }
        for kind in self
            .agents
            .values()
            .flat_map(|agent| agent.standbys.values())
        {
            *snapshot.standbys.entry(kind.to_string()).or_default() += 1;
        }
        for entry in self.entries.values() {
            let kind = entry.kind.to_string();
            if entry.stateless {
                snapshot.standbys.entry(kind.clone()).or_default();
            }
            if entry.is_live() {
                *snapshot.containers.entry(kind.clone()).or_default() += 1;
            } else if entry.wanted() {
                *snapshot.waiting.entry(kind.clone()).or_default() += 1;
            }
            *snapshot.references.entry(kind).or_default() += entry.holders.len();
            snapshot.held.0 += entry.held.len() + usize::from(entry.counted_bytes > 0);
        }
        snapshot.held.0 += self.early_calls.values().map(Vec::len).sum::<usize>();
        snapshot.held.0 += self.early_gets.len();
        snapshot.held.1 = self.held_bytes + self.unplaced_bytes;
        snapshot
    }

    /// A uuid that nobody else makes: derived from the process's own random one.
    pub(crate) fn make_uuid(&mut self) -> String {
        self.ids += 1;
        let name = format!("{}/{}", self.config.instance, self.ids);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }

    pub(crate) fn settling(&self) -> bool {
        !self.settled
    }
}

//! Programs of the simulated network: thin drivers over the real cores.

pub(crate) mod agent;
pub(crate) mod client;
pub(crate) mod feed;
pub(crate) mod holders;
pub(crate) mod hosting;
pub(crate) mod link;
pub(crate) mod operator;
pub(crate) mod plain;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{Frame, KindSpec};

use crate::ledger::Seen;
use crate::sabotage::Sabotage;
use crate::wire::WireId;
use crate::world::lease::{Answer, Ask};
use feed::Belief;

/// What comes to a program.
#[derive(Debug)]
pub(crate) enum Came {
    Start,
    /// What was dialed, if it can be reached.
    Dialed {
        dial: u64,
        wire: Option<WireId>,
    },
    /// Somebody connected to a port on which it listens for clients.
    Knocked {
        wire: WireId,
        port: u16,
    },
    Frame {
        wire: WireId,
        frame: Frame,
    },
    Closed {
        wire: WireId,
    },
    /// This side of a connection is given up, as its peer does not read.
    Clogged {
        wire: WireId,
    },
    /// The peer has read so much of what was sent to it.
    Taken {
        wire: WireId,
        bytes: usize,
    },
    /// What the API server answers to a request.
    Lease {
        request: u64,
        answer: Answer,
    },
    /// The time that it asked for, or later.
    Wake,
    Told(Told),
}

/// What the scenario tells a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Ask for nothing more.
    Rest,
    /// Give back all that is held.
    LetGo,
    /// End in order.
    Leave,
    /// A container ends by itself or panics.
    LoseContainer,
    /// These are the specifications of kinds.
    Kinds(BTreeMap<String, KindSpec>),
}

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Server,
    /// `host:port` of an agent's or a container's ROUTER; the host is an agent's place.
    Door(String),
}

/// What a program does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Connect after a while.
    Dial {
        dial: u64,
        after: Duration,
        to: Target,
    },
    Close {
        wire: WireId,
    },
    Send {
        wire: WireId,
        frame: Frame,
    },
    /// Ask the API server for the Lease.
    Lease {
        request: u64,
        ask: Ask,
    },
    /// End the process.
    Exit {
        why: String,
    },
    Saw(Seen),
    Tell(String),
}

/// What a program works with while it handles one thing.
#[derive(Debug)]
pub(crate) struct Context {
    /// By its machine's monotonic clock.
    pub(crate) now: Duration,
    /// By its machine's time of day, in ms since 1970.
    pub(crate) wall_ms: u64,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) actions: Vec<Action>,
}

impl Context {
    pub(crate) fn send(&mut self, wire: WireId, frame: Frame) {
        self.actions.push(Action::Send { wire, frame });
    }

    pub(crate) fn saw(&mut self, seen: Seen) {
        self.actions.push(Action::Saw(seen));
    }

    pub(crate) fn tell(&mut self, what: impl Into<String>) {
        self.actions.push(Action::Tell(what.into()));
    }

    /// A call ended, and it is no matter with what: nobody waits, or it is made again.
    pub(crate) fn call_ends(&mut self, call: u64) {
        let code = None;
        self.saw(Seen::Called { call, code });
    }

    pub(crate) fn does(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}

/// A program that runs.
#[derive(Debug)]
pub(crate) enum Program {
    Server(Box<server::Server>),
    Agent(Box<agent::AgentProgram>),
    Client(Box<client::ClientProgram>),
    Operator(Box<operator::OperatorProgram>),
    PlainAgent(Box<plain::agent::PlainAgent>),
    PlainClient(Box<plain::client::PlainClient>),
}

impl Program {
    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match self {
            Self::Server(server) => server.take(cx, came),
            Self::Agent(agent) => agent.take(cx, came),
            Self::Client(client) => client.take(cx, came),
            Self::Operator(operator) => operator.take(cx, came),
            Self::PlainAgent(agent) => agent.take(cx, came),
            Self::PlainClient(client) => client.take(cx, came),
        }
    }

    /// When it wants to be woken, by its monotonic clock.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        match self {
            Self::Server(server) => server.next_wake(),
            Self::Agent(agent) => agent.next_wake(),
            Self::Client(client) => client.next_wake(),
            Self::Operator(operator) => operator.next_wake(),
            Self::PlainAgent(agent) => agent.next_wake(),
            Self::PlainClient(client) => client.next_wake(),
        }
    }

    /// Whether it may have left a reference behind at the server of which it knows nothing.
    pub(crate) fn is_unclear(&self, uuid: &str) -> bool {
        matches!(self, Self::PlainClient(client) if client.is_unclear(uuid))
    }

    /// What it believes of the network, if it subscribed to the feed.
    pub(crate) fn belief(&self) -> Option<&Belief> {
        match self {
            Self::Client(client) => client.belief(),
            _ => None,
        }
    }

    /// What it holds, with the endpoint where it believes each to be; nothing of what it believes
    /// to be gone.
    pub(crate) fn whereabouts(&self) -> Vec<(String, Option<String>)> {
        match self {
            Self::Client(client) => client.link().whereabouts(),
            Self::Operator(operator) => operator.link().whereabouts(),
            Self::PlainClient(client) => client.whereabouts(),
            Self::Server(_) | Self::Agent(_) | Self::PlainAgent(_) => Vec::new(),
        }
    }

    /// References that the server may know of it.
    pub(crate) fn may_hold(&self) -> usize {
        match self {
            // What it is releasing it holds no more.
            Self::PlainClient(client) => client.held().len() + client.unclear() + client.calls(),
            program => program.held().len(),
        }
    }

    /// References that the server may know of it once it has ended: what was under way may have come
    /// to the server, and stays with who comes under its id.
    pub(crate) fn leaves(&self) -> usize {
        match self {
            Self::Client(client) => client.held().len() + client.calls(),
            program => program.may_hold(),
        }
    }

    /// Its calls without an answer, if their ends are not noted.
    pub(crate) fn unseen_calls(&self) -> usize {
        match self {
            Self::PlainClient(client) => client.calls(),
            _ => 0,
        }
    }

    /// What it holds, if it is one that holds.
    pub(crate) fn held(&self) -> Vec<String> {
        match self {
            Self::Client(client) => client.held(),
            Self::Operator(operator) => operator.held(),
            Self::PlainClient(client) => client.held(),
            Self::Server(_) | Self::Agent(_) | Self::PlainAgent(_) => Vec::new(),
        }
    }
}

//! What goes out of the core.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{AgentRegistration, Chain, Epoch, ErrorPayload, Frame, Json, NetworkEvent};

use super::{CallNumber, Conn, Id, Run, Token};
use crate::core::container::Reason;
use crate::core::gate::{Gate, Permit};

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Register at the server; the answer comes as [`Input::Registered`](super::Input::Registered).
    Register(AgentRegistration),
    /// Tell the server what became of containers (`cu`).
    Update(NetworkEvent),
    /// Tell the server that the agent takes nothing new (`xg`).
    AnnounceDrain,
    /// The agent's leaving takes too long: so many containers are aborted. For the log.
    DrainIsLate {
        /// How many.
        containers: usize,
    },
    /// After [`Input::Drain`](super::Input::Drain) every container has ended, or the time for that is over.
    Drained,
    /// Answer a call of the server.
    Answer {
        /// Which.
        token: Token,
        /// The answer.
        result: Result<Json, ErrorPayload>,
    },
    /// Send a message on a ROUTER.
    Send {
        /// To whom.
        conn: Conn,
        /// What.
        frame: Frame,
    },
    /// Close the ROUTER of a container that has ended, after what was to be sent on it.
    CloseDoor {
        /// Which.
        run: Run,
    },
    /// What the lease is from now on, by which containers may begin with requests that they were
    /// handed.
    Gate(Gate),
    /// Whether a container may begin with those.
    Permit {
        /// Which.
        run: Run,
        /// Whether it may. Without a word: always.
        permit: Permit,
    },
    /// Start a container.
    Start {
        /// Which life it is.
        run: Run,
        /// What it is told.
        seed: Box<Seed>,
    },
    /// Tell a container that stood by that it has its uuid. What comes of it is said as of a start.
    Activate {
        /// Which.
        run: Run,
        /// What it is told.
        seed: Box<Seed>,
    },
    /// Hand a request to a container, after all that were handed to it before.
    Dispatch {
        /// Which container.
        run: Run,
        /// The request.
        asked: Asked,
    },
    /// A client connected to a container.
    Connected {
        /// Which container.
        run: Run,
        /// Who.
        client: Id,
    },
    /// A client left a container, or is away.
    Disconnected {
        /// Which container.
        run: Run,
        /// Who.
        client: Id,
    },
    /// Ask a container whether it is well, past its mailbox; if it is not, that comes as
    /// [`Input::PingFailed`](super::Input::PingFailed).
    Ping {
        /// Which.
        run: Run,
        /// How long it may take.
        within: Duration,
    },
    /// A container is ended because it is not well: for the log.
    Unwell {
        /// Its kind.
        kind: Id,
        /// Its uuid.
        uuid: Id,
        /// What it said.
        cause: String,
    },
    /// Tell a container to end, past its mailbox.
    Stop {
        /// Which.
        run: Run,
    },
    /// End a container's tasks whatever they do.
    Abort {
        /// Which.
        run: Run,
    },
    /// Tell those who watch the agent.
    Changed(AgentUpdate),
    /// For the metrics.
    Observed(Observed),
}

/// What a container is told at its start.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Its uuid.
    pub uuid: Id,
    /// Its kind.
    pub kind: Id,
    /// Its container labels.
    pub labels: Vec<String>,
    /// What its first get handed to it.
    pub extra: Option<Json>,
    /// Which life of the uuid it is.
    pub epoch: Option<Epoch>,
    /// Whether it was made beforehand.
    pub role: Role,
    /// Whether it is asked one thing at a time.
    pub serial: bool,
}

/// What a container is to its uuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It was made as somebody got it.
    Ordinary,
    /// It was made beforehand and another has the uuid, or nobody yet.
    Standby,
    /// It has a uuid whose containers are made beforehand.
    Owner,
}

/// A request as its container gets it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// To be repeated in [`Input::Answered`](super::Input::Answered).
    pub call: CallNumber,
    /// What the container is asked to do.
    pub operation: String,
    /// With what.
    pub data: Json,
    /// Who asks, where that is known.
    pub client: Option<Id>,
    /// Where the caller says how long it waits: it does not begin after that, by the boot clock.
    pub until: Option<Duration>,
    /// The containers that wait for it.
    pub chain: Chain,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Through the server.
    Routed,
    /// Over a ROUTER, the agent's or the container's own.
    Direct,
}

/// Something that the metrics count.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A request got its answer.
    Request {
        /// The container's kind.
        kind: Id,
        /// How it came.
        route: Route,
        /// `ok` or an error's code.
        outcome: &'static str,
        /// From its coming to its answer.
        took: Duration,
    },
    /// A container started or could not.
    Start {
        /// Its kind.
        kind: Id,
        /// `ok`, `failed`, `timedOut` or `interrupted`.
        outcome: &'static str,
    },
    /// A container ended.
    End {
        /// Its kind.
        kind: Id,
        /// A constant.
        reason: &'static str,
    },
    /// The agent's thread overslept its lease.
    LeaseLost,
    /// What is not the protocol.
    BadMessage {
        /// A constant.
        reason: &'static str,
    },
}

/// Figures for gauges and health.
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a> {
    /// Containers by kind.
    pub containers: &'a BTreeMap<Id, usize>,
    /// Standbys by kind.
    pub standbys: &'a BTreeMap<Id, usize>,
    /// Clients that are there, of the agent's ROUTER and of its containers'; who is at several
    /// counts at each.
    pub clients: usize,
    /// Requests that wait for their container's start or for the lease; those in mailboxes are beside.
    pub waiting: usize,
    /// Whether the agent is registered in a session that is up.
    pub registered: bool,
    /// Whether the lease was overslept and not begun anew.
    pub fenced: bool,
    /// Whether the agent has its lease.
    pub leased: bool,
    /// Whether the agent is leaving.
    pub draining: bool,
}

/// What became of a container at its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentUpdate {
    /// It started and takes requests.
    Started {
        /// Its uuid.
        uuid: Id,
        /// Its kind.
        kind: Id,
        /// Its endpoint text.
        endpoint: String,
    },
    /// Nothing of it runs any more.
    Ended(Ended),
}

/// A container that has ended, or could not start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Its uuid.
    pub uuid: Id,
    /// Its kind.
    pub kind: Id,
    /// Why.
    pub reason: Reason,
}

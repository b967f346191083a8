//! What comes into the core.

use std::time::Duration;

use huly_protocol::{ErrorPayload, Frame, Json};

use super::{CallNumber, Conn, Id, Run, Token};

/// A call of the server to the agent.
#[derive(Debug, Clone)]
pub struct ServerCall {
    /// To be repeated in [`Effect::Answer`](super::Effect::Answer).
    pub token: Token,
    /// The method.
    pub method: String,
    /// Its parameters, an array.
    pub params: Json,
    /// What the server says beside them.
    pub ext: Option<Json>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time went by.
    Wake,
    /// The server's session is fresh: it does not know the agent.
    Register,
    /// The server answered the registration; these containers are to be ended.
    Registered {
        /// Their uuids.
        end: Vec<String>,
    },
    /// Whether the server is an original one. Comes before the answer to a registration.
    Server {
        /// It is.
        original: bool,
    },
    /// An original server says that containers are gone.
    Removed {
        /// Their uuids.
        containers: Vec<String>,
    },
    /// The registration failed, or a word of the agent was not answered.
    RegisterFailed,
    /// The lease lasts until then, by the boot clock.
    Lease {
        /// Its end.
        until: Duration,
        /// How long the leases of this server are.
        length: Duration,
    },
    /// The connection to the server is lost.
    Down,
    /// The server's term, in ms since 1970.
    Term(u64),
    /// The server calls.
    Call(ServerCall),
    /// A container that is starting has a ROUTER of its own. Comes before its start is done.
    Opened {
        /// Which.
        run: Run,
        /// The TCP port that it listens on.
        port: u16,
    },
    /// A message on the agent's own ROUTER or a container's.
    Message {
        /// From whom.
        conn: Conn,
        /// What came.
        frame: Frame,
    },
    /// Something came there that is not a message of the protocol.
    Unreadable {
        /// A constant for the metric.
        reason: &'static str,
    },
    /// A connection to a ROUTER is closed.
    Closed {
        /// Which.
        conn: Conn,
    },
    /// A container started, or could not.
    Started {
        /// Which.
        run: Run,
        /// What it said.
        result: Result<(), ErrorPayload>,
    },
    /// A container is not well.
    PingFailed {
        /// Which.
        run: Run,
        /// What it said, or that it said nothing.
        cause: String,
    },
    /// A container answered a request.
    Answered {
        /// Which request.
        call: CallNumber,
        /// The answer.
        result: Result<Json, ErrorPayload>,
    },
    /// Nothing of a container runs any more.
    Ended {
        /// Which.
        run: Run,
        /// How it came.
        how: EndReport,
    },
    /// A container tells its clients something.
    Event {
        /// Which.
        run: Run,
        /// Whom.
        to: Audience,
        /// What.
        data: Json,
    },
    /// The application that runs the agent ends a container; answered when it has ended.
    Terminate {
        /// To be repeated in [`Effect::Answer`](super::Effect::Answer).
        token: Token,
        /// Which.
        uuid: String,
    },
    /// The agent is to leave: it takes nothing new and ends its containers.
    Drain,
}

/// How a container ended, as the runtime saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReport {
    /// It was told to.
    Stopped,
    /// By its own wish.
    ByItself,
    /// It panicked, with this message.
    Panicked(String),
    /// Its tasks were aborted.
    Aborted,
}

/// Who is meant by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every client that is connected to the container.
    All,
    /// One of them.
    Client(Id),
}

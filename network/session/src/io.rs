use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    Chain, Epoch, ErrorCode, ErrorPayload, FeedEvent, Frame, GetParams, GotContainer, HeldEvent,
    HelloAnswer, Json,
};

/// Names a call of the driver's; it picks them and never uses one twice.
pub type Token = u64;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Begin: dial.
    Start,
    /// The connection that was asked for is there.
    Connected,
    /// It is not, or it ended.
    Disconnected,
    /// A message came.
    Frame(Frame),
    /// A message came that is not one of the protocol.
    Unreadable,
    /// Call a method.
    Call(Call),
    /// Get a container and hold a reference.
    Get {
        /// Names the call.
        token: Token,
        /// What is asked for.
        params: GetParams,
        /// The caller counts its handles: the reference stays until a raw release.
        raw: bool,
        /// How long it may take; the configured time when absent.
        timeout: Option<Duration>,
    },
    /// Give a handle back; with the last one the reference is released.
    Release {
        /// Whom to answer, with [`Effect::Answered`].
        token: Option<Token>,
        /// The container.
        uuid: String,
        /// The whole reference of a caller that counts its own handles.
        raw: bool,
    },
    /// Nobody waits for a call any more.
    Cancel {
        /// The call.
        token: Token,
    },
    /// The answer to an [`Effect::BackCall`].
    Reply {
        /// The number of the call.
        call: u64,
        /// What came of it.
        result: Result<Json, ErrorPayload>,
    },
    /// Receive the events of a container over this connection to its agent.
    Connect {
        /// Names the call; answered with [`Effect::Answered`].
        token: Token,
        /// The container.
        uuid: String,
    },
    /// Receive them no more.
    Disconnect {
        /// The container.
        uuid: String,
    },
    /// Subscribe to the feed, or begin again with a new snapshot.
    Watch,
    /// End the subscription.
    Unwatch,
    /// The time of [`Session::next_wake`](crate::Session::next_wake) has come.
    Wake,
    /// Leave and release.
    Close,
    /// Leave without releasing what is durable.
    Detach,
}

/// A call of a method.
#[derive(Debug, Clone)]
pub struct Call {
    /// Names the call.
    pub token: Token,
    /// The request id; one is made when absent. Given where a request takes a second route.
    pub id: Option<String>,
    /// The method.
    pub method: Cow<'static, str>,
    /// Its parameters.
    pub params: Json,
    /// How long it may take; the configured time when absent.
    pub timeout: Option<Duration>,
    /// The session uuid in which alone it makes sense: in another it fails as interrupted.
    pub only_in: Option<String>,
    /// Fail it when the connection ends, instead of sending it again over the next one.
    pub fail_when_cut: bool,
    /// The life of the container that is asked, as far as the caller knows: said when the request is
    /// sent again, for it must not run in another.
    pub epoch: Option<Epoch>,
    /// It was sent on another route before.
    pub sent_before: bool,
    /// It may run more than once: it is sent again, until its deadline, also where it may have run
    /// in another life of the container.
    pub idempotent: bool,
    /// Its answer registers an agent: then the agents' lease begins.
    pub registers: bool,
    /// The containers that wait for it.
    pub chain: Chain,
}

impl Call {
    /// A call with the defaults.
    pub fn new(token: Token, method: impl Into<Cow<'static, str>>, params: Json) -> Self {
        Self {
            token,
            id: None,
            method: method.into(),
            params,
            timeout: None,
            only_in: None,
            fail_when_cut: false,
            epoch: None,
            sent_before: false,
            idempotent: false,
            registers: false,
            chain: Chain::default(),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// It failed: the peer says so, or a deadline passed.
    Failed(ErrorPayload),
    /// The peer's answer is not one of the protocol.
    Protocol(String),
    /// The session was left.
    Closed,
}

impl From<ErrorPayload> for CallError {
    fn from(error: ErrorPayload) -> Self {
        Self::Failed(error)
    }
}

impl CallError {
    /// The code of the peer's error.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Failed(error) => error.code,
            _ => None,
        }
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Connect anew after a while; drop what there was.
    Dial {
        /// How long to wait.
        after: Duration,
    },
    /// Drop the connection.
    Hangup,
    /// Send a message.
    Send(Frame),
    /// A call was answered.
    Answered {
        /// The call.
        token: Token,
        /// The answer's JSON text, as it came.
        result: Result<Bytes, CallError>,
    },
    /// A get was answered; one more handle is held.
    Got {
        /// The call.
        token: Token,
        /// The container.
        result: Result<GotContainer, CallError>,
    },
    /// The peer knows us: requests go out.
    Up {
        /// The session's uuid.
        session: String,
        /// Whether it is another than before: agents register again.
        fresh: bool,
        /// What the peer says of itself; nothing if it is an original one.
        answer: Option<HelloAnswer>,
    },
    /// The connection is gone; another one is being made.
    Down,
    /// The server calls an agent.
    BackCall {
        /// For the reply.
        call: u64,
        /// The method.
        method: String,
        /// Its parameters, with the agent.
        params: Json,
    },
    /// An event from an agent's or a container's ROUTER.
    Event(Bytes),
    /// Something happened to a container that is held.
    Held(HeldEvent),
    /// An original server says that these containers are gone, held or not.
    Removed(Vec<String>),
    /// The feed went on.
    Feed(FeedUpdate),
    /// The agents' lease holds until then, by the session's clock.
    Lease {
        /// The end.
        until: Duration,
        /// How long the leases of this server are.
        length: Duration,
    },
    /// The server's term, each time that it is another.
    Term(u64),
    /// The session is over; nothing follows.
    Stopped(StopReason),
}

/// A piece of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedUpdate {
    /// What was known does not hold any more: a snapshot follows.
    Reset,
    /// A chunk of the snapshot, or what happened before its last.
    Snapshot(FeedEvent),
    /// What happened since.
    Event(FeedEvent),
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was closed or detached.
    Left,
    /// Another process has the client id now; what the server said.
    Superseded(String),
}

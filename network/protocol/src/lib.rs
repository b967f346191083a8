//! Frames, methods, records and errors of the Huly network protocol.
//!
//! The wire is the one that TypeScript peers speak (docs/protocol.md lists what Rust peers add).
//! This crate only says what is on the wire; it has no sockets, no clock and no state.

mod call;
mod chain;
mod endpoint;
mod epoch;
mod error;
mod event;
mod frame;
mod get;
mod hello;
mod json;
mod kind;
pub mod lease;
pub mod method;
mod params;
mod record;
mod secret;
mod seq;

pub use call::{AgentCall, CallExt, CallerExt, ContainerCall, Request};
pub use chain::Chain;
pub use endpoint::{Endpoint, EndpointKind};
pub use epoch::Epoch;
pub use error::{ErrorCode, ErrorPayload, Rejection};
pub use event::{
    AgentEvent, AgentFeedEvent, ContainerEvent, EventKind, FeedEvent, HeldEvent, NetworkEvent,
    PeerEvent, Snapshot,
};
pub use frame::{Frame, FrameError, MAX_ID_BYTES, Op};
pub use get::{
    GetExt, GetParams, GetRequest, GotContainer, MAX_NAME_CHARS, Placement, Reassert,
    ReassertedGet, StartExt,
};
pub use hello::{Hello, HelloAnswer, HelloExt, Limits, MAX_CLIENT_ID_BYTES, PROTOCOL_VERSION};
pub use json::Json;
pub use kind::{KindSpec, LabelSelector, Operator, Requirement, Strategy};
pub use params::{
    AgentUuid, Confirmed, Connect, Find, Holders, KindBarrier, OneOrMany, Sync, Synced, Uuid,
};
pub use record::{
    AgentExt, AgentInfo, AgentInfoExt, AgentRegistration, ContainerRecord, Failover, PodRef,
    RecordExt, Stateless,
};

pub use secret::Secret;

/// The port that a network server listens on unless told otherwise (W02).
pub const NETWORK_PORT: u16 = 3737;

/// The port that an agent listens on unless told otherwise (W02).
pub const AGENT_PORT: u16 = 3738;

/// How many gets of a client may be in flight beyond its limit of requests to containers. Other
/// requests have no limit: they are answered at once.
pub const IN_FLIGHT_RESERVE: u32 = 256;

/// The beginning of the text of an error that says that no agent can host a container (W15).
/// TypeScript clients recognise it and ask again.
pub const NO_SUITABLE_AGENT: &str = "No suitable agents found for container";

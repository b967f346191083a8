use serde::{Deserialize, Serialize};

use crate::json::null_as_default;
use crate::{AgentInfo, ContainerRecord, Placement};

/// What happened to an agent or a container (W11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It is new.
    Added,
    /// It changed.
    Updated,
    /// It is gone.
    Removed,
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Added),
            1 => Ok(Self::Updated),
            2 => Ok(Self::Removed),
            other => Err(serde::de::Error::custom(format!(
                "{other} is no event: 0 to 2"
            ))),
        }
    }
}

/// Something happened to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// The agent.
    pub id: String,
    /// The kinds that it can host.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kinds: Vec<String>,
    /// What happened.
    pub event: EventKind,
}

/// Something happened to a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerEvent {
    /// The container, as it is after the event.
    pub container: ContainerRecord,
    /// What happened.
    pub event: EventKind,
}

/// What happened, merged: at most one event per agent and container (W11).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkEvent {
    /// Agents.
    #[serde(default, deserialize_with = "null_as_default")]
    pub agents: Vec<AgentEvent>,
    /// Containers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub containers: Vec<ContainerEvent>,
}

/// The payload of an event from the server to a Rust peer (extension): one of these members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeerEvent {
    /// Something happened to containers that the peer holds.
    Held(Vec<HeldEvent>),
    /// The feed, of those who subscribed.
    Feed(FeedEvent),
    /// The server raised its term, in ms since 1970.
    Term(u64),
    /// The peer's session belongs to another process now: it stops.
    Superseded(String),
}

/// Something happened to a container that the peer holds (extension).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldEvent {
    /// The container.
    pub uuid: String,
    /// Updated: it lives somewhere else now. Removed: nothing replaces it.
    pub event: EventKind,
    /// Its new endpoint text, of an updated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where it lives, of an updated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// A piece of the feed (extension): a chunk of the snapshot, or what happened since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedEvent {
    /// The uuid of the server process.
    pub instance: String,
    /// The position after this piece. While the chunks of a snapshot come it may grow, as what happens
    /// is told among them; then it grows by one with each event, so that a gap is noticed.
    pub revision: u64,
    /// Which chunk of the snapshot this is; absent of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Whether the server has heard from everybody that it may expect after its start.
    #[serde(default)]
    pub settled: bool,
    /// Agents: those of the chunk, or what happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentFeedEvent>,
    /// Containers: those of the chunk, or what happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerEvent>,
}

/// Which part of the snapshot a piece of the feed is (extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// From 0.
    pub chunk: u32,
    /// Whether it is the last.
    pub last: bool,
}

/// Something happened to an agent, in full (extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFeedEvent {
    /// What happened.
    pub event: EventKind,
    /// The agent, as it is after the event.
    pub agent: AgentInfo,
}

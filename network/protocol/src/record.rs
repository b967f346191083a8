use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::null_as_default;
use crate::{Epoch, Json, KindSpec};

/// What a peer says of a container (W10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRecord {
    /// The agent that hosts it.
    pub agent_id: String,
    /// The container, any text of 1 to 253 characters.
    pub uuid: String,
    /// Its kind.
    pub kind: String,
    /// Its endpoint text; a TypeScript server shows `""` for one that it had started.
    #[serde(default, deserialize_with = "null_as_default")]
    pub endpoint: String,
    /// When it was last visited, in ms by the sender's clock (W29).
    #[serde(
        default,
        deserialize_with = "null_as_default",
        serialize_with = "crate::json::whole_number"
    )]
    pub last_visit: f64,
    /// What its first get handed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Json>,
    /// Its container labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// What Rust peers say beside it (extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huly: Option<RecordExt>,
}

/// What Rust peers say of a container beside the original's record (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordExt {
    /// Which life of the uuid this is; a record without one loses to a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The specification that it was placed with, if its kind had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<KindSpec>,
    /// Clients that hold a durable reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// How many references there are now; said by the server, not by agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<u32>,
    /// How often it was placed again.
    #[serde(default)]
    pub failovers: u32,
    /// The last time that it was placed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<Failover>,
    /// The client that asked for it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_client: Option<String>,
    /// Whether it was first asked for by its uuid.
    #[serde(default)]
    pub by_uuid: bool,
    /// What its agent takes it for, if it makes one under its uuid beforehand (W19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateless: Option<Stateless>,
    /// Of an exclusive kind: its agent's lease has lasted from when a server last said that the
    /// container is this agent's until this session began, so nobody has placed it elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leased: bool,
}

/// What an agent takes its container of a stateless uuid for (extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stateless {
    /// It has the uuid: requests go to it.
    Owner,
    /// It is kept in reserve and takes nothing.
    Standby,
}

/// One failover of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// The agent it lived on.
    pub from: String,
    /// The agent it was placed on.
    pub to: String,
    /// A constant: `AgentSilent`, `ConnectionClosed`, `AgentUnregistered`, `AgentDraining`,
    /// `ContainerEnded`.
    pub reason: String,
    /// When it was placed again, in ms since 1970 by the server's clock.
    pub time_ms: u64,
    /// From the last sign of its life there to the container's being there again, in ms.
    pub duration_ms: u64,
}

/// A Pod of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its metadata.uid.
    pub uid: String,
}

/// What an agent says of itself: the parameters of `ar`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentRegistration {
    /// The agent.
    pub uuid: String,
    /// The containers that it hosts.
    #[serde(default, deserialize_with = "null_as_default")]
    pub containers: Vec<ContainerRecord>,
    /// The kinds that it can host.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kinds: Vec<String>,
    /// The endpoint text of its own ROUTER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What a Rust agent says beside it (extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huly: Option<AgentExt>,
}

/// What a Rust agent says of itself beside the original's registration (extension).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentExt {
    /// Its agent labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The name of the node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The Pod that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// The specifications of kinds that it was told, so that a restarted server knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub specs: Vec<KindSpec>,
    /// Whether it takes nothing new.
    #[serde(default)]
    pub draining: bool,
    /// Containers that it is ending and that have not ended: they take nothing any more, but their
    /// uuids are not free yet. The epoch is the highest that it knows of the uuid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopping: Vec<ContainerRecord>,
    /// Which chunk of the registration this is and whether the last; one whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<(u32, bool)>,
}

/// What the server says of an agent in the answer to `al`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfo {
    /// The agent.
    pub agent_id: String,
    /// The endpoint text of its own ROUTER; without one null, as the original writes it (W09).
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The kinds that it can host.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kinds: Vec<String>,
    /// How many containers it hosts.
    #[serde(default)]
    pub containers: u32,
    /// What Rust peers are told beside it (extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huly: Option<AgentInfoExt>,
}

/// What the server says of an agent to Rust peers (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfoExt {
    /// Its agent labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The name of the node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The Pod that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// A constant: `Live`, `Suspected` (its connection closed a moment ago) or `Draining`.
    #[serde(default)]
    pub state: String,
    /// How many containers of each kind it hosts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub containers_by_kind: BTreeMap<String, u32>,
    /// How many standbys of each kind it keeps; they are not among its containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standbys_by_kind: BTreeMap<String, u32>,
}

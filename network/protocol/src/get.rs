use serde::{Deserialize, Serialize};

use crate::json::null_as_default;
use crate::seq::array_struct;
use crate::{Epoch, Failover, Json, KindSpec, PodRef};

/// The longest container uuid or kind, in characters; the shortest has one.
pub const MAX_NAME_CHARS: usize = 253;

/// What the server says beside a `gg` to a Rust agent (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartExt {
    /// The epoch of the container to be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The specification that it is placed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<KindSpec>,
    /// Clients that hold a durable reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// The client that asked for it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_client: Option<String>,
    /// Whether it was first asked for by its uuid.
    #[serde(default)]
    pub by_uuid: bool,
    /// How often the uuid was placed again.
    #[serde(default)]
    pub failovers: u32,
    /// Its last failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<Failover>,
}

/// What a get asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRequest {
    /// The container; without one any that fits, or a new one (W13, W14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Container labels that it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Handed to the container at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Json>,
}

/// The parameters of `gg` from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetParams {
    /// The container kind.
    pub kind: String,
    /// What is asked for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub request: GetRequest,
    /// What Rust clients say beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huly: Option<GetExt>,
}

/// What Rust clients say beside a get (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetExt {
    /// Never reuse a container: make a new one. Without a uuid only.
    #[serde(default)]
    pub new: bool,
    /// The caller has just made the uuid, so nobody can know it: no waiting after a restart.
    #[serde(default)]
    pub fresh: bool,
    /// A uuid that lives under another kind is an error (`otherKind`).
    #[serde(default)]
    pub strict: bool,
    /// The reference outlives silence and the server; only a release or a sync ends it. Control
    /// sessions only.
    #[serde(default)]
    pub durable: bool,
    /// Where a container that this get makes is to start; where it is placed again is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The answer to `gg`: `[uuid, endpoint]`, to Rust peers `[uuid, endpoint, placement]`.
#[derive(Debug, Clone, PartialEq)]
pub struct GotContainer {
    /// The container.
    pub uuid: String,
    /// Its endpoint text.
    pub endpoint: String,
    /// Where it lives (extension).
    pub placement: Option<Placement>,
}
array_struct!(
    GotContainer,
    "[container uuid, endpoint]",
    [uuid, endpoint],
    [placement]
);

impl Serialize for GotContainer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.placement {
            None => (&self.uuid, &self.endpoint).serialize(serializer),
            Some(placement) => (&self.uuid, &self.endpoint, placement).serialize(serializer),
        }
    }
}

/// Where a container lives (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Its kind.
    pub kind: String,
    /// Its agent.
    pub agent_id: String,
    /// The agent's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The agent's Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// Which life of the uuid it is; none at a TypeScript agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Its container labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How often it was placed again.
    #[serde(default)]
    pub failovers: u32,
    /// The last time that it was placed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<Failover>,
}

/// Parameters of `xr` (extension): references asserted again after a new server session.
///
/// The answer has one member a get, in order: the container where it is known now, else null; a
/// held event follows once it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassert {
    /// A chunk of what the client holds.
    pub gets: Vec<ReassertedGet>,
}

/// One reference of [`Reassert`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReassertedGet {
    /// The container that is held.
    pub uuid: String,
    /// Its kind.
    pub kind: String,
    /// The get it came from.
    #[serde(default)]
    pub request: GetRequest,
    /// Whether the reference is durable.
    #[serde(default)]
    pub durable: bool,
    /// The epoch that the client knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The agent that the client knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The failovers that the client knows.
    #[serde(default)]
    pub failovers: u32,
}

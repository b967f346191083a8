use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::null_as_default;
use crate::seq::array_struct;
use crate::{Epoch, Failover, Json, KindSpec, PodRef};

/// A text that borrows from the message where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The payload of a request (op 1): `[method, params]`.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The method, see [`method`](crate::method).
    pub method: Cow<'a, str>,
    /// The parameters' JSON text; `null` when there are none.
    pub params: &'a RawValue,
}

struct RawRequest<'a> {
    method: Text<'a>,
    params: Option<&'a RawValue>,
}
array_struct!(RawRequest<'a>, "[method, params]", [method], [params]);

impl<'a> Request<'a> {
    /// Reads a request's payload.
    ///
    /// # Errors
    /// When it is not JSON or not of that shape.
    pub fn read(payload: &'a [u8]) -> Result<Self, serde_json::Error> {
        let raw: RawRequest<'a> = serde_json::from_slice(payload)?;
        Ok(Self {
            method: raw.method.0,
            params: raw.params.unwrap_or(RawValue::NULL),
        })
    }

    /// A request's payload. `params` must be JSON text.
    pub fn payload(method: &str, params: &str) -> bytes::Bytes {
        let mut text = String::with_capacity(method.len() + params.len() + 5);
        text.push_str("[\"");
        text.push_str(method);
        text.push_str("\",");
        text.push_str(params);
        text.push(']');
        bytes::Bytes::from(text.into_bytes())
    }
}

/// `[container uuid, operation, data]`: a request to a container.
#[derive(Debug, Clone)]
pub struct ContainerCall<'a> {
    /// The container.
    pub uuid: Cow<'a, str>,
    /// What it is asked to do.
    pub operation: Cow<'a, str>,
    /// The data's JSON text; `null` when there is none.
    pub data: &'a RawValue,
    /// Of a request that is sent again: in which life of the container it may have run already
    /// (extension).
    pub resent: Option<Resent>,
}

/// What a Rust client says beside a request that it sends again (extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// The epoch in which it was sent first: in another one it is not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

struct RawContainerCall<'a> {
    uuid: Text<'a>,
    operation: Text<'a>,
    data: Option<&'a RawValue>,
    resent: Option<Resent>,
}
array_struct!(
    RawContainerCall<'a>,
    "[container uuid, operation, data]",
    [uuid, operation],
    [data, resent]
);

impl<'de: 'a, 'a> Deserialize<'de> for ContainerCall<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawContainerCall::deserialize(deserializer)?;
        Ok(Self {
            uuid: raw.uuid.0,
            operation: raw.operation.0,
            data: raw.data.unwrap_or(RawValue::NULL),
            resent: raw.resent,
        })
    }
}

impl Serialize for ContainerCall<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.resent {
            None => (&self.uuid, &self.operation, self.data).serialize(serializer),
            Some(resent) => (&self.uuid, &self.operation, self.data, resent).serialize(serializer),
        }
    }
}

/// `[agent uuid, params, extension?]`: the parameters of a call from the server to an agent.
#[derive(Debug, Clone)]
pub struct AgentCall<'a> {
    /// The agent that is meant: one client may serve several.
    pub agent: Cow<'a, str>,
    /// The method's own parameters, an array.
    pub params: &'a RawValue,
    /// What the server says beside it to a Rust agent (extension).
    pub ext: Option<&'a RawValue>,
}

struct RawAgentCall<'a> {
    agent: Text<'a>,
    params: &'a RawValue,
    ext: Option<&'a RawValue>,
}
array_struct!(
    RawAgentCall<'a>,
    "[agent uuid, params]",
    [agent, params],
    [ext]
);

impl<'de: 'a, 'a> Deserialize<'de> for AgentCall<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawAgentCall::deserialize(deserializer)?;
        Ok(Self {
            agent: raw.agent.0,
            params: raw.params,
            ext: raw.ext,
        })
    }
}

/// What the server says beside a `cs` or `ct` to a Rust agent (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallExt {
    /// The epoch that is meant: an agent whose container has another one refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The caller's client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The caller's request id: with its client id it names the request on every route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

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

/// Parameters that name a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uuid {
    /// The container.
    pub uuid: String,
}

/// Parameters that name an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUuid {
    /// The agent.
    pub uuid: String,
}

/// Parameters of a list of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// Only containers of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Parameters of `cc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The containers whose events the client wants.
    pub uuid: OneOrMany,
}

/// One text or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
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

/// Parameters of `kr` from the operator (extension): the full set of kinds, after each was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindBarrier {
    /// Every kind that has a specification; others lose theirs.
    pub kinds: Vec<String>,
}

/// Parameters of `xs` (extension): a chunk of the full set of durable references.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Names the sync; a new name begins a new one and forgets an unfinished one.
    pub sync: String,
    /// Which chunk this is, from 0: one that does not follow its predecessor is refused, so that
    /// half a set never releases the rest.
    #[serde(default)]
    pub chunk: u32,
    /// Containers that the client holds durably.
    pub uuids: Vec<String>,
    /// Whether this chunk is the last: then what is not in the set is released.
    pub last: bool,
}

/// The answer to `xs`: of the last chunk, what came of it; of others, empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Durable references that were released, as the set did not have them.
    #[serde(default)]
    pub released: Vec<String>,
    /// Members of the set that the server does not hold for the client: to be got again.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// Durable holders of a container, written into its record at its agent (extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The container.
    pub uuid: String,
    /// Client ids.
    pub holders: Vec<String>,
    /// The container's last failover, with its final figures.
    #[serde(
        default,
        rename = "lastFailover",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_failover: Option<Failover>,
}

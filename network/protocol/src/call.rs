use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::seq::array_struct;
use crate::{Chain, Epoch};

/// The longest time that an answer in time is given to reach its caller.
const LAST_WORD: Duration = Duration::from_millis(100);

/// A text that borrows from the message where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The payload of a request (op 1): `[method, params]`, of a Rust client to the ROUTER of a Rust
/// agent's container `[operation, data, what is said beside it]`.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The method, see [`method`](crate::method).
    pub method: Cow<'a, str>,
    /// The parameters' JSON text; `null` when there are none.
    pub params: &'a RawValue,
    /// What is said beside them, if anything (extension).
    pub ext: Option<&'a RawValue>,
}

struct RawRequest<'a> {
    method: Text<'a>,
    params: Option<&'a RawValue>,
    ext: Option<&'a RawValue>,
}
array_struct!(RawRequest<'a>, "[method, params]", [method], [params, ext]);

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
            ext: raw.ext,
        })
    }

    /// The payload of a request to a container's own ROUTER: the method is any operation.
    ///
    /// # Errors
    /// None that is known: texts and numbers can be written.
    pub fn direct_payload(
        operation: &str,
        data: &RawValue,
        ext: Option<CallerExt>,
    ) -> Result<bytes::Bytes, serde_json::Error> {
        let written = match ext {
            None => serde_json::to_vec(&(operation, data)),
            Some(ext) => serde_json::to_vec(&(operation, data, ext)),
        };
        written.map(bytes::Bytes::from)
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
    /// What a Rust client says beside it (extension).
    pub ext: Option<CallerExt>,
}

/// What a Rust client says beside a request to a container, on both routes (extension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerExt {
    /// Of a request that is sent again: the epoch in which it may have run already. In another one
    /// it is not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// For how many ms from now the caller waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The containers that wait for it.
    #[serde(default, skip_serializing_if = "Chain::is_empty")]
    pub chain: Chain,
}

impl CallerExt {
    /// For how long the request may be held before it is given up: a bit less than its caller
    /// waits (100 ms, of a short wait a tenth), so that the caller hears that it did not run.
    pub fn patience(&self) -> Option<Duration> {
        let timeout = Duration::from_millis(self.timeout_ms?);
        Some(timeout - (timeout / 10).min(LAST_WORD))
    }
}

struct RawContainerCall<'a> {
    uuid: Text<'a>,
    operation: Text<'a>,
    data: Option<&'a RawValue>,
    ext: Option<CallerExt>,
}
array_struct!(
    RawContainerCall<'a>,
    "[container uuid, operation, data]",
    [uuid, operation],
    [data, ext]
);

impl<'de: 'a, 'a> Deserialize<'de> for ContainerCall<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawContainerCall::deserialize(deserializer)?;
        Ok(Self {
            uuid: raw.uuid.0,
            operation: raw.operation.0,
            data: raw.data.unwrap_or(RawValue::NULL),
            ext: raw.ext,
        })
    }
}

impl Serialize for ContainerCall<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.ext {
            None => (&self.uuid, &self.operation, self.data).serialize(serializer),
            Some(ext) => (&self.uuid, &self.operation, self.data, ext).serialize(serializer),
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
#[serde(rename_all = "camelCase")]
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
    /// For how many ms from now the caller waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The containers that wait for it.
    #[serde(default, skip_serializing_if = "Chain::is_empty")]
    pub chain: Chain,
}

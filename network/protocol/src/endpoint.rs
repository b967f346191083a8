use serde::{Deserialize, Serialize};

use crate::Epoch;

/// How a container is reached (W12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Through the ROUTER of its agent.
    Routed,
    /// Through a ROUTER of its own; of an agent: the agent's own ROUTER.
    Direct,
    /// Only through the network server.
    NoConnection,
}

impl Serialize for EndpointKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::Routed => 0,
            Self::Direct => 1,
            Self::NoConnection => 2,
        })
    }
}

impl<'de> Deserialize<'de> for EndpointKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Routed),
            1 => Ok(Self::Direct),
            2 => Ok(Self::NoConnection),
            other => Err(serde::de::Error::custom(format!(
                "{other} is no endpoint kind: 0 to 2"
            ))),
        }
    }
}

/// Where to reach a container or an agent (W12): on the wire a JSON text inside a JSON text.
///
/// Endpoint texts are passed on byte for byte; this is for those who make or follow one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// How it is reached.
    pub kind: EndpointKind,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The agent that hosts it.
    pub agent_id: String,
    /// The container; an agent's own endpoint has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The container's epoch (extension; TypeScript peers ignore it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

impl Endpoint {
    /// Reads an endpoint text.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The endpoint text.
    pub fn text(&self) -> String {
        // Numbers and text alone: writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

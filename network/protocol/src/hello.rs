use serde::{Deserialize, Serialize};

use crate::Secret;

/// The version of the extensions that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The payload of a client's hello (op 0, W04).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// Seconds of silence after which the server forgets the client (W08); 3 when absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::json::whole_number_or_none"
    )]
    pub alive_timeout: Option<f64>,
    /// What a Rust peer says beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huly: Option<HelloExt>,
}

/// What a Rust peer's hello says beyond the TypeScript one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloExt {
    /// The version of the extensions, [`PROTOCOL_VERSION`].
    pub v: u32,
    /// Random per process: another one with the same client id is a new incarnation.
    pub nonce: String,
    /// Names of the optional features that the peer knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// The highest term that the peer knows, in ms since 1970; 0 when it knows none.
    #[serde(default)]
    pub term: u64,
    /// The control secret, of those who may set kinds and hold durable references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// The payload of the server's answer to a Rust peer's hello. TypeScript peers get none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloAnswer {
    /// The version of the extensions that the server speaks.
    pub v: u32,
    /// The uuid of the server process. The id frame carries the uuid of the client session.
    pub instance: String,
    /// The server's term, in ms since 1970.
    pub term: u64,
    /// Name of the network.
    pub network: String,
    /// Names of the optional features that the server knows.
    #[serde(default)]
    pub features: Vec<String>,
    /// Whether the sender's control secret was right.
    #[serde(default)]
    pub control: bool,
    /// What the server accepts.
    pub limits: Limits,
}

/// What a server accepts from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The largest payload, in bytes.
    pub message_bytes: u64,
    /// Requests of one client that may be in flight at once.
    pub requests_in_flight: u32,
    /// How long an agent's lease is, in ms from the sending of the ping that was answered.
    pub lease_ms: u64,
}

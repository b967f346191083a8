use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Secret, lease};

/// The version of the extensions that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The longest client id, in bytes. It is the id of a hello.
pub const MAX_CLIENT_ID_BYTES: usize = 253;

/// The shortest and the longest alive timeout: neither a slip forgets a client between two pings,
/// nor does a number keep it for ever.
const ALIVE_TIMEOUTS: [Duration; 2] = [Duration::from_millis(500), Duration::from_hours(24)];

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

impl Hello {
    /// Reads the payload of a hello; an empty one says nothing.
    ///
    /// # Errors
    /// When it is not the JSON of a hello.
    pub fn read(payload: &[u8]) -> Result<Self, serde_json::Error> {
        match payload {
            [] => Ok(Self {
                alive_timeout: None,
                huly: None,
            }),
            payload => serde_json::from_slice(payload),
        }
    }

    /// The silence after which who listens forgets the client (W08): what it says, from 0.5 s to 24 h;
    /// `otherwise` when it says no time.
    #[must_use]
    pub fn alive_timeout_or(&self, otherwise: Duration) -> Duration {
        let [shortest, longest] = ALIVE_TIMEOUTS;
        match self.alive_timeout {
            Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
                let seconds = seconds.min(longest.as_secs_f64());
                Duration::from_secs_f64(seconds).max(shortest)
            }
            _ => otherwise,
        }
    }
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
    /// The number of the leadership that a sender with the control secret has, of several processes
    /// of one client id: one with a lower number than the server knows is told that it is superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fencing: Option<u64>,
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
    /// Whose ROUTER it is, where a container has one of its own: its uuid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// What a server accepts from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The largest payload, in bytes.
    pub message_bytes: u64,
    /// Requests of one client that may be in flight at once.
    pub requests_in_flight: u32,
    /// How long an agent's lease is, in ms from the sending of the ping that was answered: from
    /// [`lease::SHORTEST`] to [`lease::LONGEST`].
    pub lease_ms: u64,
}

impl Limits {
    /// The lease that agents have; none where it would be over between two pings.
    pub fn lease(&self) -> Option<Duration> {
        let length = Duration::from_millis(self.lease_ms);
        (length >= lease::SHORTEST).then_some(length.min(lease::LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_says_how_long_its_client_may_be_silent() {
        let silence = |payload: &str| {
            let hello = Hello::read(payload.as_bytes()).unwrap();
            hello.alive_timeout_or(Duration::from_secs(3)).as_millis()
        };
        for nothing in ["", "{}", r#"{"aliveTimeout":null}"#] {
            assert_eq!(silence(nothing), 3_000);
        }
        for (said, milliseconds) in [
            ("-1", 3_000),
            ("0", 3_000),
            ("1e-300", 500),
            ("0.5", 500),
            ("2.25", 2_250),
            ("86400", 86_400_000),
            ("1e308", 86_400_000),
        ] {
            let payload = format!(r#"{{"aliveTimeout":{said}}}"#);
            assert_eq!(silence(&payload), milliseconds, "{said}");
        }
    }

    #[test]
    fn a_lease_is_as_long_as_the_server_says_within_bounds() {
        let lease = |lease_ms| {
            let limits = Limits {
                message_bytes: 1,
                requests_in_flight: 1,
                lease_ms,
            };
            limits.lease().map(|length| length.as_millis())
        };
        assert_eq!([0, 499].map(lease), [None, None]);
        assert_eq!([500, 3_000].map(lease), [Some(500), Some(3_000)]);
        assert_eq!([3_001, u64::MAX].map(lease), [Some(3_000), Some(3_000)]);
    }
}

use std::time::Duration;

use huly_protocol::Secret;

/// Whom the session is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A network server: references, agents and the feed are kept up.
    Server,
    /// The ROUTER of an agent: connected containers are kept up.
    Agent,
    /// A container's own ROUTER: it knows no methods but the container's operations.
    Container,
}

/// What a session is made with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom it is with.
    pub peer: Peer,
    /// The client's id.
    pub client_id: String,
    /// Random per process: another one with the same client id is a new incarnation.
    pub nonce: String,
    /// What request ids begin with; has a part that is random per process. A number follows.
    pub request_prefix: String,
    /// The control secret, of those who may set kinds and hold durable references.
    pub secret: Option<Secret>,
    /// The number of the leadership, of who has the control secret and shares the client id with
    /// other processes.
    pub fencing: Option<u64>,
    /// The uuid of the container whose own ROUTER it is with: another one may have its port by now.
    pub container: Option<String>,
    /// Silence after which the server forgets the client.
    pub alive_timeout: Duration,
    /// How long a call may take that does not say it.
    pub request_timeout: Duration,
    /// The seed of the jitter.
    pub seed: u64,
}

impl Config {
    /// The alive timeout unless told otherwise (W08).
    pub const ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
    /// The deadline of a call unless told otherwise.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
}

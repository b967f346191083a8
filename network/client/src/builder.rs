use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use huly_protocol::Secret;
use huly_session::{Config, Peer};

use crate::client::{Client, Inner};
use crate::direct::Pool;
use crate::driver;
use crate::flight::Flight;
use crate::ground::Ground;

/// Makes a [`Client`]. docs/client.md has a table of the options.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    server: String,
    ground: Ground,
    client_id: Option<String>,
    control_secret: Option<Secret>,
    fencing: Option<u64>,
    alive_timeout: Duration,
    request_timeout: Duration,
}

impl ClientBuilder {
    /// The network server's port where the address has none (W02).
    pub const PORT: u16 = 3737;
    /// The alive timeout unless told.
    pub const ALIVE_TIMEOUT: Duration = Config::ALIVE_TIMEOUT;
    /// The request time-out unless told.
    pub const REQUEST_TIMEOUT: Duration = Config::REQUEST_TIMEOUT;

    pub(crate) fn new(server: String) -> Self {
        Self {
            server: with_port(server),
            ground: Ground::default(),
            client_id: None,
            control_secret: None,
            fencing: None,
            alive_timeout: Self::ALIVE_TIMEOUT,
            request_timeout: Self::REQUEST_TIMEOUT,
        }
    }

    /// In a test's network.
    #[cfg(feature = "testing")]
    pub(crate) fn in_process(mut self, process: crate::testing::Process) -> Self {
        self.ground.process = Some(process);
        self
    }

    /// The client's id; a random uuid unless told.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The secret of those who may set kinds and hold durable references.
    #[must_use]
    pub fn control_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.control_secret = Some(secret.into());
        self
    }

    /// The number of this process's leadership, where several processes share a client id and have
    /// the control secret: the server lets none take over that has a lower number than it knows, and
    /// tells it that it is superseded.
    #[must_use]
    pub fn fencing(mut self, number: u64) -> Self {
        self.fencing = Some(number);
        self
    }

    /// Silence after which the server forgets the client and releases what it holds; 3 s unless
    /// told.
    #[must_use]
    pub fn alive_timeout(mut self, timeout: Duration) -> Self {
        self.alive_timeout = timeout;
        self
    }

    /// How long a call may take that does not say it; 30 s unless told.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Starts the client's task, which connects in the background and again whenever the
    /// connection is lost. Calls made meanwhile wait.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn build(self) -> Client {
        let ground = self.ground;
        let client_id = self.client_id.unwrap_or_else(|| ground.uuid().to_string());
        let process = ground.random() >> 32;
        let config = Config {
            peer: Peer::Server,
            request_prefix: format!("{client_id}-{process:08x}-"),
            client_id,
            nonce: ground.uuid().to_string(),
            secret: self.control_secret,
            fencing: self.fencing,
            container: None,
            alive_timeout: self.alive_timeout,
            request_timeout: self.request_timeout,
            seed: ground.random(),
        };
        let handle = driver::start(&self.server, config.clone(), ground.clone(), true);
        Client {
            inner: Arc::new(Inner {
                server: self.server,
                config,
                ground,
                handle,
                pool: Pool::default(),
                requests: AtomicU64::new(1),
                flight: Flight::default(),
            }),
        }
    }
}

/// An address with a port: `host:port`, `host`, `[::1]:port`, `[::1]`.
fn with_port(server: String) -> String {
    let after_host = server.rfind(']').map_or(0, |end| end + 1);
    match server[after_host..].contains(':') {
        true => server,
        false => format!("{server}:{}", ClientBuilder::PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_gets_the_customary_one() {
        for (given, meant) in [
            ("localhost", "localhost:3737"),
            ("localhost:1", "localhost:1"),
            ("[::1]", "[::1]:3737"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(with_port(given.to_owned()), meant);
        }
    }
}

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use huly_protocol::Secret;
use huly_session::{Config, Peer};

use crate::client::{Client, Inner};
use crate::direct::Pool;
use crate::driver;
use crate::ground::Ground;

/// Makes a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    server: String,
    ground: Ground,
    client_id: Option<String>,
    control_secret: Option<Secret>,
    alive_timeout: Duration,
    request_timeout: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(server: String) -> Self {
        Self {
            server,
            ground: Ground::default(),
            client_id: None,
            control_secret: None,
            alive_timeout: Config::ALIVE_TIMEOUT,
            request_timeout: Config::REQUEST_TIMEOUT,
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
            alive_timeout: self.alive_timeout,
            request_timeout: self.request_timeout,
            seed: ground.random(),
        };
        let handle = driver::start(&self.server, config.clone(), ground.clone(), true);
        Client {
            inner: Arc::new(Inner {
                config,
                ground,
                handle,
                pool: Pool::default(),
                requests: AtomicU64::new(1),
            }),
        }
    }
}

//! A whole network in the process of a test (feature `testing`): its server, clients and agents,
//! without sockets, threads or waiting.
//!
//! Only the wires and the clock are the test's; the server, the clients and their sessions are those
//! that run in production. Time stands still while anybody has something to do. When everybody
//! waits, it goes on to the next thing that is due: so a test that awaits an answer gets it, a
//! time-out included, and [`Network::advance`] lets time pass for its own sake. Everything due
//! happens in order, and two runs of one test are the same, message by message.
//!
//! ```
//! use std::time::Duration;
//!
//! use huly_client::testing::Network;
//! use huly_client::{Client, ErrorKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let network = Network::new();
//! let client: Client = network.client("c1");
//! assert!(client.kinds().await.unwrap().is_empty());
//! network.stop_server();
//! // Nobody answers: the call waits for 30 seconds, which take no time.
//! let error = client.kinds().await.unwrap_err();
//! assert_eq!(error.kind, ErrorKind::TimedOut);
//! assert_eq!(network.now(), Duration::from_secs(30));
//! # }
//! ```
//!
//! The test's runtime must be one of the current thread, as `#[tokio::test]` makes it, and have no
//! sockets of its own: while it waits for one, nothing is to be done in the network, so time passes.
//! Work in `spawn_blocking` holds the clock. Agents that host containers are in `huly_agent::testing`.

mod fabric;
mod operator;
mod process;
mod server;
mod time;
mod trace;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use huly_protocol::KindSpec;
use huly_registry::Config;

pub use fabric::Heard;
pub(crate) use process::Wire;
pub use process::{Listener, Process};

use crate::builder::ClientBuilder;
use crate::client::Client;
use crate::clock::Clock;
use crate::direct::lock;
use crate::error::Error;
use fabric::Fabric;
use operator::Operator;
use server::{Server, wall_ms};

/// Where the network server listens.
const ADDRESS: &str = "server:3737";

/// A network of a test. Dropped, its server is killed.
#[derive(Debug)]
pub struct Network {
    fabric: Arc<Fabric>,
    settle: Duration,
    grace: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    server: Option<Server>,
    /// Of the last server.
    term: u64,
    operator: Option<Arc<Operator>>,
}

/// Makes a [`Network`].
#[derive(Debug, Clone)]
#[must_use = "it is a network once it is built"]
pub struct NetworkBuilder {
    seed: u64,
    settle: Duration,
    grace: Duration,
    traced: bool,
}

impl NetworkBuilder {
    /// What its random numbers are made of: ids, jitter. Another seed is another run of the test.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long a server that is started again waits for agents to tell what lives; 1.5 s unless
    /// told, at least a lease. The first one does not wait: nothing has lived before.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How long the containers of an agent whose connection closed stay with it; 750 ms unless told.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Keeps what goes over the wires for [`Network::trace`].
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Stops the clock and starts the server.
    ///
    /// # Panics
    /// Outside a tokio runtime, or on one with worker threads.
    pub fn build(self) -> Network {
        time::stop_clock();
        let network = Network {
            fabric: Arc::new(Fabric::new(self.seed, Clock::of_test(), self.traced)),
            settle: self.settle,
            grace: self.grace,
            state: Mutex::default(),
        };
        network.start(Duration::ZERO);
        network
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// The control secret of the network.
    pub const CONTROL_SECRET: &str = "the secret of tests";

    /// A network with a server and nobody else, its clock at zero.
    ///
    /// # Panics
    /// Outside a tokio runtime, or on one with worker threads.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A network that is not as [`new`](Self::new) makes it.
    pub fn builder() -> NetworkBuilder {
        let defaults = Config::new("", 0);
        NetworkBuilder {
            seed: 0,
            settle: defaults.settle,
            grace: defaults.grace,
            traced: false,
        }
    }

    /// A client of this id, in a process of its own.
    pub fn client(&self, id: &str) -> Client {
        self.client_builder(id).build()
    }

    /// The same with other time-outs or with the [control secret](Self::CONTROL_SECRET).
    pub fn client_builder(&self, id: &str) -> ClientBuilder {
        self.process(id).client().client_id(id)
    }

    /// A process of this name. For who builds upon it.
    pub fn process(&self, name: &str) -> Process {
        Process::start(self.fabric.clone(), name)
    }

    /// What the clock shows: the time since the network began, also of
    /// [`LinkEvent::Lease`](crate::LinkEvent).
    pub fn now(&self) -> Duration {
        self.fabric.clock.now()
    }

    /// Lets time pass: what is due meanwhile happens in order, each with all that follows from it.
    ///
    /// Tokio's own `advance` jumps instead, as if every process had been paused.
    pub async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.settle().await;
    }

    /// Waits until nothing goes on any more, without letting time pass: all tasks of the runtime
    /// wait for a time, for another or for what runs in `spawn_blocking`.
    pub async fn settle(&self) {
        time::all_wait().await;
    }

    /// Cuts a client, an agent or the `server` off: what is sent to and by it is held, and nobody
    /// can connect. Its connections stay until their ends give them up.
    pub fn cut(&self, name: &str) {
        self.fabric.cut(name);
    }

    /// Ends a [`cut`](Self::cut): what was held arrives, in the order sent.
    pub fn heal(&self, name: &str) {
        self.fabric.heal(name);
    }

    /// Kills the server, if there is one: its connections are closed.
    pub fn stop_server(&self) {
        lock(&self.state).server = None;
    }

    /// Starts a server, if there is none. All it knows it is told by agents and clients.
    pub fn start_server(&self) {
        self.start(self.settle);
    }

    /// Kills the server and starts another one.
    pub fn restart_server(&self) {
        self.stop_server();
        self.start_server();
    }

    fn start(&self, settle: Duration) {
        let mut state = lock(&self.state);
        if state.server.is_some() {
            return;
        }
        // A later server has a higher term, also in the same millisecond.
        state.term = wall_ms(self.fabric.clock).max(state.term + 1);
        let process = self.process("server");
        let defaults = Config::new(process.uuid().to_string(), state.term);
        let config = Config {
            network: "test".to_owned(),
            control_secret: Some(Self::CONTROL_SECRET.into()),
            settle: match settle {
                Duration::ZERO => settle,
                settle => settle.max(defaults.lease),
            },
            former_lease: match settle {
                Duration::ZERO => settle,
                _ => defaults.former_lease,
            },
            grace: self.grace,
            // What was sent is there.
            round: Duration::ZERO,
            ..defaults
        };
        state.server = Server::start(process, config);
    }

    /// Sets the specification of a kind, as a ContainerKind does: servers that are started later
    /// know it too.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn set_kind(&self, spec: KindSpec) -> Result<(), Error> {
        let operator = {
            let mut state = lock(&self.state);
            let operator = state.operator.get_or_insert_with(|| {
                let client = self.client_builder("operator");
                let secret = Self::CONTROL_SECRET;
                Arc::new(Operator::start(client.control_secret(secret).build()))
            });
            operator.clone()
        };
        operator.set(spec).await
    }

    /// What went over the wires, a line each, when the network is
    /// [`traced`](NetworkBuilder::traced).
    pub fn trace(&self) -> Vec<String> {
        self.fabric.trace()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

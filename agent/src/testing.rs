//! Agents in a whole network in the process of a test (feature `testing`): the network server,
//! agents with their containers, and clients, without sockets, threads or waiting.
//!
//! The containers run as they do in production, on the test's own runtime. Time is the test's: it
//! stands still while anybody has something to do, goes on by itself to what is due next when
//! everybody waits, and passes by [`Network::advance`]. Containers that take tokio's time, by its
//! `sleep`, take this one.
//!
//! ```
//! use std::time::Duration;
//!
//! use huly_agent::testing::{Agents, Network};
//! use huly_agent::{Call, Container, ContainerError, Json, Kinds, answer};
//!
//! struct Greeter;
//!
//! impl Container for Greeter {
//!     async fn request(&self, call: Call) -> Result<Json, ContainerError> {
//!         match call.operation.as_str() {
//!             "greet" => answer(&format!("Hello, {}!", call.read::<String>()?)),
//!             _ => Err(call.unknown(&["greet"])),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kinds = Kinds::new().serve("greeter", |_| async { Ok(Greeter) });
//! let network = Network::new();
//! let agent = network.agent("a1", kinds).await?;
//! let client = network.client("c1");
//! let greeter = client.get("greeter").uuid("g").await?;
//! let greeting: String = greeter.request("greet", "Ada").await?;
//! assert_eq!(greeting, "Hello, Ada!");
//! // Nobody holds it any more: it ends when its idle time is over.
//! greeter.release().await?;
//! network.advance(Duration::from_secs(6)).await;
//! assert!(client.containers(None).await?.is_empty());
//! agent.leave().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What blocks its thread blocks the test; no watchdog names it here.

use std::future::IntoFuture;

use anyhow::Context;
use futures::future::BoxFuture;
pub use huly_client;
use huly_client::testing::Process;
pub use huly_client::testing::{Network, NetworkBuilder};
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::core::{Config, Door};
use crate::kinds::Kinds;
use crate::options::{AgentOptions, HostPort};
use crate::run::config;
use crate::runtime::{Control, Doors, Link, Metrics, Parts, Place, Router, Watch};

/// A test's network with agents that host containers.
pub trait Agents {
    /// An agent of this id in a process of its own, which hosts these kinds: await the builder.
    fn agent(&self, id: &str, kinds: Kinds) -> AgentBuilder<'_>;
}

impl Agents for Network {
    fn agent(&self, id: &str, kinds: Kinds) -> AgentBuilder<'_> {
        AgentBuilder {
            network: self,
            id: id.to_owned(),
            kinds,
            options: AgentOptions::of(HostPort {
                host: "server".to_owned(),
                port: 3737,
            }),
        }
    }
}

/// An agent to be started: what it is, then `.await`.
#[derive(Debug)]
#[must_use = "nothing is started until it is awaited"]
pub struct AgentBuilder<'a> {
    network: &'a Network,
    id: String,
    kinds: Kinds,
    options: AgentOptions,
}

impl AgentBuilder<'_> {
    /// An agent label, which kinds select agents by.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.labels.push((key.into(), value.into()));
        self
    }

    /// Changes the options of the agent. Its addresses, its workers and its id are the network's.
    pub fn options(mut self, change: impl FnOnce(&mut AgentOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Starts the agent; it registers by itself.
    fn start(self) -> anyhow::Result<Agent> {
        let process = self.network.process(&self.id);
        let advertised = HostPort {
            host: self.id.clone(),
            port: 3738,
        };
        let listener = process.listen(&advertised.to_string());
        let listener =
            listener.with_context(|| format!("an agent {} is there already", self.id))?;
        let (control, controlled) = mpsc::unbounded_channel();
        let client = process.client().build();
        let parts = Parts {
            config: Config {
                instance: process.uuid(),
                zero_ms: process.begin_ms() as f64,
                ..config(&self.options, &self.kinds, &self.id, &advertised)
            },
            metrics: Metrics::new(&Registry::new(), self.kinds.hosted())?,
            kinds: self.kinds,
            link: Link::Network {
                link: client.serve_agent(),
                client,
                shared: false,
                registration: 0,
            },
            doors: Doors::new(Place::Wires {
                process: process.clone(),
                host: self.id.clone(),
                port: advertised.port,
            }),
            router: Router::wires(listener, Door::Agent),
            workers: Handle::current(),
            control: controlled,
            watch: Watch::new(),
            clock: process.clock(),
        };
        Ok(Agent {
            id: self.id,
            control,
            task: tokio::spawn(parts.serve()),
            process,
        })
    }
}

impl<'a> IntoFuture for AgentBuilder<'a> {
    type Output = anyhow::Result<Agent>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Starts the agent and waits until it is registered; without a server, until it would be.
    ///
    /// Fails when an agent of the id runs.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let network = self.network;
            let agent = self.start()?;
            network.settle().await;
            Ok(agent)
        })
    }
}

/// An agent of a test's network. Dropped, it is killed.
#[derive(Debug)]
pub struct Agent {
    id: String,
    process: Process,
    control: mpsc::UnboundedSender<Control>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Agent {
    /// The agent's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Kills it, with its containers: they say nothing any more, and its connections are closed.
    pub fn kill(self) {
        drop(self);
    }

    /// Leaves in order, as at SIGTERM: it takes nothing new, ends its containers, unregisters.
    ///
    /// # Errors
    /// When the session was over for good.
    pub async fn leave(mut self) -> anyhow::Result<()> {
        // One that has ended says so itself.
        let _ = self.control.send(Control::Drain);
        (&mut self.task).await.context("the agent panicked")?
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill();
        self.task.abort();
    }
}

//! The agent's thread: the one that holds its sockets, lease and core.

use std::net::TcpListener;
use std::time::Duration;

use huly_client::{Client, Clock};
use huly_protocol::lease;
use huly_router::Limits;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use crate::core::{Agent, Config, Door};
use crate::kinds::Kinds;
use crate::runtime::doors::{Doors, Place};
use crate::runtime::gate::gate;
use crate::runtime::hosting::Hosting;
use crate::runtime::link::Link;
use crate::runtime::metrics::Metrics;
use crate::runtime::router::Router;
use crate::runtime::serving::{Control, Serving, ticks};
use crate::runtime::watchdog::{Watch, Watchdog};

/// How long hooks may take to hear of the last ends.
const HOOKS_END: Duration = Duration::from_millis(200);

/// What the thread is started with.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) kinds: Kinds,
    /// Opened within the runtime that runs it.
    pub(crate) link: Link,
    /// Bound already, so that its port is known.
    pub(crate) listener: TcpListener,
    pub(crate) workers: Handle,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    /// After how long a container is said to block its worker.
    pub(crate) blocked_after: Duration,
}

/// Where the link leads.
pub(crate) enum LinkTo {
    /// To the network server at this `host:port`.
    Server(String),
    /// To that of an application's client, over its session.
    Client(Client),
    #[cfg(test)]
    Test(Link),
}

impl LinkTo {
    /// The client and what it serves. Must be called within the runtime that the agent will run on.
    pub(crate) fn open(self) -> (Client, Link) {
        let (client, shared) = match self {
            Self::Server(server) => (Client::builder(server).build(), false),
            Self::Client(client) => (client, true),
            #[cfg(test)]
            Self::Test(link) => return (Client::builder("127.0.0.1:1").build(), link),
        };
        let link = Link::Network {
            client: client.clone(),
            link: client.serve_agent(),
            shared,
            registration: 0,
        };
        (client, link)
    }
}

/// Runs the agent on the current thread until it has left.
///
/// # Errors
/// When the ROUTER failed or the session is over for good.
pub(crate) fn run(runtime: &Runtime, settings: Settings) -> anyhow::Result<()> {
    runtime.block_on(async {
        let watch = Watch::new();
        let watchdog = Watchdog::new(watch.clone(), settings.blocked_after);
        let _guard = watchdog.guard(settings.metrics.clone())?;
        let ip = settings.listener.local_addr()?.ip();
        let limits = settings.limits;
        let router = Router::bind(settings.listener, Door::Agent, limits.clone()).await?;
        let parts = Parts {
            config: settings.config,
            kinds: settings.kinds,
            link: settings.link,
            router,
            doors: Doors::new(Place::Ip(ip, limits)),
            workers: settings.workers,
            control: settings.control,
            metrics: settings.metrics,
            watch,
            clock: Clock::default(),
        };
        parts.serve().await
    })
}

/// What an agent is made of, on a thread of its own or in a test's network.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) kinds: Kinds,
    pub(crate) link: Link,
    pub(crate) router: Router,
    pub(crate) doors: Doors,
    pub(crate) workers: Handle,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) metrics: Metrics,
    pub(crate) watch: Watch,
    pub(crate) clock: Clock,
}

impl Parts {
    /// Serves until the agent has left or its handle is gone.
    ///
    /// # Errors
    /// When the ROUTER failed or the session is over for good.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let (gatekeeper, gate) = gate(self.clock);
        let (reported, reports) = mpsc::unbounded_channel();
        let name = self.config.agent.clone();
        let (watchers, hooked) = self.kinds.hook(&self.workers).unzip();
        let hosting = Hosting::new(self.workers, self.kinds, name, gate, reported, self.watch);
        let serving = Serving {
            agent: Agent::new(self.config, self.clock.now()),
            link: self.link,
            router: self.router,
            doors: self.doors,
            hosting,
            gatekeeper,
            reports,
            control: self.control,
            metrics: self.metrics,
            clock: self.clock,
            watchers: watchers.into_iter().collect(),
            tick: ticks(lease::DEFAULT),
            turn: 0,
        };
        let outcome = serving.run().await;
        if let Some(hooked) = hooked {
            // What was said last is still to be told; a hook that hangs is no reason to stay.
            let _ = tokio::time::timeout(HOOKS_END, hooked).await;
        }
        outcome
    }
}

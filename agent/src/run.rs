//! Starting and ending an agent.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Parser;
use huly_client::{Client, boot_clock};
use huly_program::{finish, init_tracing, listen, serve_http, shutdown_signal};
use prometheus::Registry;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::advertise::advertise;
use crate::core::Config;
use crate::health::Health;
use crate::kinds::Kinds;
use crate::options::{AgentOptions, CommandLine, HostPort};
use crate::runtime::{self, Control, LinkTo, Metrics, Settings};

/// How long workers may take to end when the agent has left.
const WORKERS_END: Duration = Duration::from_millis(200);

/// Runs an agent that hosts these kinds, as a program: it reads the flags of [`AgentOptions`], logs
/// to standard error, and leaves in order at SIGTERM or SIGINT; a second signal ends it at once. What
/// fails, as to listen on an address, is said in the log, and the program fails.
pub fn run(kinds: Kinds) -> ExitCode {
    let line = CommandLine::parse();
    let started = init_tracing(&line.log);
    finish(started.and_then(|()| run_with(line.options, kinds)))
}

/// The same for a program that reads its flags and starts logging itself.
///
/// # Errors
/// When an address cannot be listened on or the agent's thread failed.
pub fn run_with(options: AgentOptions, kinds: Kinds) -> anyhow::Result<()> {
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    signals.block_on(async {
        let mut shutdown = shutdown_signal()?;
        let agent = AgentHandle::start(options, kinds)?;
        let mut ended = agent.ended;
        tokio::select! {
            outcome = &mut ended => return outcome.context("the agent's thread panicked")?,
            signal = shutdown.recv() => tracing::info!(signal, "agent leaves"),
        }
        // The thread may have ended just now.
        let _ = agent.control.send(Control::Drain);
        tokio::select! {
            outcome = ended => {
                tracing::info!("agent ends");
                outcome.context("the agent's thread panicked")?
            }
            signal = shutdown.recv() => {
                anyhow::bail!("agent ends at once at a second signal, {signal}")
            }
        }
    })
}

/// An agent that runs in this process. Dropped, it ends as if the process had been killed.
#[derive(Debug)]
pub struct AgentHandle {
    id: String,
    address: SocketAddr,
    advertised: HostPort,
    http: SocketAddr,
    kinds: Vec<String>,
    client: Client,
    pub(crate) control: mpsc::UnboundedSender<Control>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl AgentHandle {
    /// Starts an agent: a thread for its sockets and lease, and workers for its containers. It
    /// connects to the server in the background and stays until it is told to leave.
    ///
    /// # Errors
    /// When an address cannot be listened on, or it cannot be found out what to advertise.
    pub fn start(options: AgentOptions, kinds: Kinds) -> anyhow::Result<Self> {
        let network = options.network.to_string();
        Self::start_with(options, kinds, LinkTo::Server(network))
    }

    /// Starts an agent that is served over an application's client: one session for both, as one
    /// process needs no more. The client stays when the agent has left.
    ///
    /// The lease is prolonged by the client's pings, so its runtime must not be blocked: an agent
    /// whose client is silent is given up by the server. `options.network` is not dialed.
    ///
    /// # Errors
    /// As of [`AgentHandle::start`].
    pub fn serve(client: &Client, options: AgentOptions, kinds: Kinds) -> anyhow::Result<Self> {
        Self::start_with(options, kinds, LinkTo::Client(client.clone()))
    }

    pub(crate) fn start_with(
        options: AgentOptions,
        kinds: Kinds,
        link: LinkTo,
    ) -> anyhow::Result<Self> {
        let listener = listen("--listen", options.listen)?;
        let address = listener.local_addr()?;
        let advertised = advertise(&options, address)?;
        let id = options
            .id
            .clone()
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        let config = config(&options, &kinds, &id, &advertised);
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, kinds.hosted())?;
        let workers = workers(options.workers)?;
        let (control, controlled) = mpsc::unbounded_channel();
        let health = Health {
            control: control.downgrade(),
            workers: workers.handle().clone(),
            network: options.network.to_string(),
        };
        let http = serve_http(options.http, registry, Arc::new(health))?.local_addr();
        tracing::info!(
            id,
            network = %options.network,
            listen = %address,
            advertise = %advertised,
            %http,
            kinds = kinds.names().collect::<Vec<_>>().join(","),
            "agent starts"
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (client, link) = {
            let _inside = runtime.enter();
            link.open()
        };
        let names = kinds.names().map(str::to_owned).collect();
        let settings = Settings {
            config,
            kinds,
            link,
            listener,
            workers: workers.handle().clone(),
            control: controlled,
            metrics,
            limits: options.limits(),
            blocked_after: options.blocked_after,
        };
        let (done, ended) = oneshot::channel();
        let _: JoinHandle<()> =
            std::thread::Builder::new()
                .name("agent".to_owned())
                .spawn(move || {
                    let outcome = runtime::run(&runtime, settings);
                    runtime.shutdown_background();
                    workers.shutdown_timeout(WORKERS_END);
                    // Who started it may not wait for its end.
                    let _ = done.send(outcome);
                })?;
        Ok(Self {
            id,
            address,
            advertised,
            http,
            kinds: names,
            client,
            control,
            ended,
        })
    }

    /// The agent's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The address of its ROUTER, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients are told to connect to.
    pub fn advertised(&self) -> &HostPort {
        &self.advertised
    }

    /// The kinds that it can host, in order.
    pub fn kinds(&self) -> &[String] {
        &self.kinds
    }

    /// The client over whose session it is served: for gets, requests and all else.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The address of its metrics and health, with the real port.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Waits until the network server knows the agent: its kinds, and the containers that it makes
    /// beforehand. A get before that may find nobody who serves the kind.
    ///
    /// # Errors
    /// When the agent has ended.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let ended = "the agent has ended";
        let (known, waits) = oneshot::channel();
        let asked = self.control.send(Control::WhenKnown(known));
        asked.map_err(|_| anyhow::anyhow!(ended))?;
        waits.await.context(ended)
    }

    /// The same, but not for longer than that.
    ///
    /// # Errors
    /// As of [`ready`](Self::ready); when it takes longer, which says whether there is a server.
    pub async fn ready_within(&self, patience: Duration) -> anyhow::Result<()> {
        let Ok(ready) = tokio::time::timeout(patience, self.ready()).await else {
            self.client().ready_within(Duration::ZERO).await?;
            anyhow::bail!("the network server has not registered the agent within {patience:?}");
        };
        ready
    }

    /// Leaves in order: takes nothing new, ends the containers, unregisters.
    ///
    /// # Errors
    /// When the agent's thread failed.
    pub async fn leave(self) -> anyhow::Result<()> {
        // A thread that has ended says so itself.
        let _ = self.control.send(Control::Drain);
        self.ended.await.context("the agent's thread panicked")?
    }
}

fn workers(count: Option<u16>) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(count) = count {
        builder.worker_threads(usize::from(count));
    }
    builder.thread_name("worker").enable_all().build()
}

pub(crate) fn config(
    options: &AgentOptions,
    kinds: &Kinds,
    id: &str,
    advertised: &HostPort,
) -> Config {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Config {
        kinds: kinds.names().map(str::to_owned).collect(),
        stateless: kinds
            .stateless_uuids()
            .map(|(uuid, kind)| (uuid.to_owned(), kind.to_owned()))
            .collect(),
        labels: options.labels.iter().cloned().collect(),
        node: name(&options.node),
        pod: options.pod.clone(),
        answers_window: options.answers_window(),
        answers_bytes: options.answers_bytes,
        drain_timeout: options.drain_timeout(),
        ping_interval: options.ping_interval(),
        ping_timeout: options.ping_timeout(),
        zero_ms: wall.saturating_sub(boot_clock()).as_secs_f64() * 1e3,
        ..Config::new(id, Uuid::new_v4(), &advertised.host, advertised.port)
    }
}

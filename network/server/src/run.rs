use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use huly_program::{Probe, init_tracing, listen, serve_http, shutdown_signal};
use huly_registry::Config;
use huly_router::Limits;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::args::Args;
use crate::metrics::StatsCollector;
use crate::serve::router::Router;
use crate::serve::{Ask, Loop};

/// How serving ended.
enum Outcome {
    /// By a signal.
    Signal(&'static str),
    /// Another server took over.
    Superseded(String),
}

struct Serving(mpsc::UnboundedSender<Ask>);

impl Serving {
    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, String> {
        let (answer, asked) = oneshot::channel();
        let gone = || "the serving loop has ended".to_owned();
        self.0.send(ask(answer)).map_err(|_| gone())?;
        asked.await.map_err(|_| gone())
    }
}

impl Probe for Serving {
    fn live(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.ask(Ask::Live))
    }

    fn ready(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            let snapshot = self.ask(Ask::Ready).await?;
            let agents: usize = snapshot.agents.values().sum();
            let settling = match snapshot.settling {
                true => "settling: agents may still register what they host",
                false => "settled",
            };
            Ok(format!("listening\n{settling}\nagents: {agents}"))
        })
    }
}

/// Runs the network server until SIGTERM or SIGINT.
///
/// # Errors
/// When an address cannot be listened on, the secret cannot be read, or another server took over.
pub fn run(args: Args) -> anyhow::Result<()> {
    init_tracing(&args.log)?;
    let instance = Uuid::new_v4().to_string();
    let term = wall_ms();
    let config = args.config(instance.clone(), term)?;
    let settle_ms = config.settle.as_millis();
    let (ask, asked) = mpsc::unbounded_channel();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(StatsCollector::new(ask.clone())?))?;
    // One thread serves: a second one would only hand messages to and fro.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut shutdown = shutdown_signal()?;
        let listener = listen("--listen", args.listen)?;
        let router = Router::bind(listener, args.limits()).await?;
        let endpoint = router.endpoint().to_owned();
        let mut serving = Loop::new(router, config, asked);
        let http = serve_http(args.http, registry, Arc::new(Serving(ask)))?;
        tracing::info!(
            listen = %endpoint,
            http = %http.local_addr(),
            network = args.network_name,
            instance,
            term,
            settle_ms,
            "network server listens"
        );
        tokio::select! {
            outcome = serving.run() => outcome.map(Outcome::Superseded),
            signal = shutdown.recv() => Ok(Outcome::Signal(signal)),
        }
    })?;
    match outcome {
        Outcome::Signal(signal) => {
            tracing::info!(signal, "network server ends");
            Ok(())
        }
        Outcome::Superseded(reason) => Err(anyhow::anyhow!("network server ends: {reason}")),
    }
}

/// Serves without metrics, health and signals, until another server takes over: a network within a
/// program, as tests want it.
///
/// # Errors
/// When the ROUTER failed.
pub async fn serve_network(listener: TcpListener, config: Config) -> anyhow::Result<()> {
    // Kept, for the loop would see its end.
    let (_ask, asked) = mpsc::unbounded_channel();
    let router = Router::bind(listener, Limits::default()).await?;
    Loop::new(router, config, asked).run().await?;
    Ok(())
}

/// Now, in ms since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

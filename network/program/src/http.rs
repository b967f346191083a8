use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::listen::listen;

/// How long a probe may take until it counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a program says of its health.
pub trait Probe: Send + Sync + 'static {
    /// A round trip through the task that serves; an error says what does not answer.
    fn live(&self) -> BoxFuture<'_, Result<(), String>>;
    /// Whether it can be used: the text of the answer, or what it waits for.
    fn ready(&self) -> BoxFuture<'_, Result<String, String>>;
}

/// The HTTP side of a program; it ends with the process.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
}

impl HttpServer {
    /// The address that it listens on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

struct Served {
    registry: Registry,
    probe: Arc<dyn Probe>,
}

/// Serves `/metrics`, `/livez` and `/readyz` on a thread of its own, so that they neither disturb
/// the program's work nor answer for it.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve_http(
    address: SocketAddr,
    registry: Registry,
    probe: Arc<dyn Probe>,
) -> anyhow::Result<HttpServer> {
    let listener = listen("--http", address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Served { registry, probe }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let served = async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    axum::serve(listener, router).await
                };
                if let Err(error) = served.await {
                    tracing::error!(%error, "metrics and health are not served any more");
                }
            });
        })?;
    Ok(HttpServer { address })
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&served.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn livez(State(served): State<Arc<Served>>) -> Response {
    answer(
        tokio::time::timeout(PROBE_TIMEOUT, served.probe.live()).await,
        |()| "ok".to_owned(),
    )
}

async fn readyz(State(served): State<Arc<Served>>) -> Response {
    answer(
        tokio::time::timeout(PROBE_TIMEOUT, served.probe.ready()).await,
        |text| text,
    )
}

fn answer<T>(
    outcome: Result<Result<T, String>, tokio::time::error::Elapsed>,
    text: impl FnOnce(T) -> String,
) -> Response {
    match outcome {
        Ok(Ok(value)) => (StatusCode::OK, text(value) + "\n").into_response(),
        Ok(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "no answer from the program within {} s\n",
                PROBE_TIMEOUT.as_secs()
            ),
        )
            .into_response(),
    }
}

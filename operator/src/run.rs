use std::io::stdout;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use huly_operator_api::crds;
use huly_program::{Shutdown, init_tracing, serve_http, shutdown_signal, with_causes};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::args::{Args, Command, RunArgs};
use crate::check;
use crate::core::Report;
use crate::documents::write_documents;
use crate::driver::Driver;
use crate::election::{Candidate, lease_name};
use crate::health::{Ask, Health};
use crate::kubernetes;
use crate::metrics::Metrics;
use crate::rbac::roles;

/// How often the API server is asked at the start while it does not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Does what the arguments say: operates until SIGTERM or SIGINT, or prints.
///
/// # Errors
/// When the secret or the kubeconfig cannot be read, or an address cannot be listened on.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Crds) => return write_documents(stdout().lock(), &crds()?),
        Some(Command::Rbac) => return write_documents(stdout().lock(), &roles()),
        Some(Command::Check(check)) => {
            init_tracing(&args.log)?;
            return runtime()?.block_on(check::run(check));
        }
        None => {}
    }
    let operating = args
        .run
        .0
        .context("how to operate is not said: see --help")?;
    init_tracing(&args.log)?;
    runtime()?.block_on(operate(operating))
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

async fn operate(args: RunArgs) -> anyhow::Result<()> {
    let mut shutdown = shutdown_signal()?;
    let secret = args.control_secret()?;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new(&registry)?;
    let (ask, mut asks) = mpsc::unbounded_channel();
    let http = serve_http(args.http, registry, Arc::new(Health::new(ask)))?;
    let kube = kubernetes::connect().await?;
    tracing::info!(
        network = args.network,
        network_name = args.network_name,
        http = %http.local_addr(),
        "operator starts"
    );
    let Some(cluster) = cluster_uid(&kube, &metrics, &mut asks, &mut shutdown).await else {
        return Ok(());
    };
    let candidate = Candidate {
        // What others are told to wait for does not hold the Lease up.
        kube: kubernetes::connect().await?,
        namespace: args.namespace(&kube),
        lease: lease_name(&args.network_name),
        identity: args.identity(),
        terms: args.terms(),
        metrics: metrics.clone(),
    };
    // Whoever operates this network in this cluster next is the same client.
    let client_id = Uuid::new_v5(&cluster, args.network_name.as_bytes()).to_string();
    let driver = Driver::start(args, kube, client_id, secret, metrics, candidate);
    driver.run(asks, shutdown).await;
    Ok(())
}

/// The uid of the kube-system namespace, which names the cluster; none after a signal.
async fn cluster_uid(
    kube: &Client,
    metrics: &Metrics,
    asks: &mut mpsc::UnboundedReceiver<Ask>,
    shutdown: &mut Shutdown,
) -> Option<Uuid> {
    let namespaces: Api<Namespace> = Api::all(kube.clone());
    loop {
        let found = async {
            let why = match namespaces.get("kube-system").await {
                Ok(namespace) => {
                    let uid = namespace.metadata.uid.unwrap_or_default();
                    match Uuid::parse_str(&uid) {
                        Ok(uid) => return Some(uid),
                        Err(_) => format!("the uid {uid:?} of kube-system is not a UUID"),
                    }
                }
                Err(error) => with_causes(&error),
            };
            tracing::warn!(error = why, "the Kubernetes API server is not reached yet");
            metrics.error("api_server");
            tokio::time::sleep(RETRY).await;
            None
        };
        let waits = || Report {
            waits: vec!["the Kubernetes API server".to_owned()],
            ..Report::default()
        };
        tokio::pin!(found);
        let uid = loop {
            tokio::select! {
                uid = &mut found => break uid,
                Some(ask) = asks.recv() => ask.answer(waits()),
                signal = shutdown.recv() => {
                    tracing::info!(signal, "operator ends");
                    return None;
                }
            }
        };
        if uid.is_some() {
            return uid;
        }
    }
}

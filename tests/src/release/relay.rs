//! What kube-proxy does for Pods, for the tests' process: it is on no node.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// Connects who comes to a port of this machine with a ready Pod of a Service. A connection stays
/// with its Pod; one that cannot be made is closed, and its client comes again.
///
/// Dropped, it closes all connections.
#[derive(Debug)]
pub struct ServiceRelay {
    address: String,
    task: JoinHandle<()>,
}

impl ServiceRelay {
    /// Listens on a free port for a port of a Service, by the port's name.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(client: Client, namespace: &str, service: &str, port: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let slices = Slices {
            api: Api::namespaced(client, namespace),
            service: service.to_owned(),
            port: port.to_owned(),
        };
        let task = tokio::spawn(accept(listener, slices));
        Ok(Self { address, task })
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for ServiceRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, slices: Slices) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => if let Ok((incoming, _)) = incoming {
                connections.spawn(relay(incoming, slices.clone()));
            },
            // How a connection ended is for its two ends to say.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(mut incoming: TcpStream, slices: Slices) -> Result<()> {
    let mut outgoing = timeout(CONNECT, async {
        let address = slices.ready().await?;
        anyhow::Ok(TcpStream::connect(address).await?)
    })
    .await??;
    incoming.set_nodelay(true)?;
    outgoing.set_nodelay(true)?;
    copy_bidirectional(&mut incoming, &mut outgoing).await?;
    Ok(())
}

/// Where the Pods of a Service are.
#[derive(Clone)]
struct Slices {
    api: Api<EndpointSlice>,
    service: String,
    port: String,
}

impl Slices {
    /// The address of a ready Pod.
    async fn ready(&self) -> Result<SocketAddr> {
        let selector = format!("kubernetes.io/service-name={}", self.service);
        let mine = ListParams::default().labels(&selector);
        let mut addresses = self
            .api
            .list(&mine)
            .await?
            .items
            .into_iter()
            .flat_map(|slice| {
                let ports = slice.ports.unwrap_or_default();
                let port = ports
                    .into_iter()
                    .find(|port| port.name.as_deref() == Some(&self.port))
                    .and_then(|port| u16::try_from(port.port?).ok());
                let ready = slice.endpoints.into_iter().flatten().filter(|endpoint| {
                    let conditions = endpoint.conditions.as_ref();
                    conditions.and_then(|conditions| conditions.ready) == Some(true)
                });
                let addresses = ready.flat_map(|endpoint| endpoint.addresses);
                addresses
                    .filter_map(|address| Some(SocketAddr::new(address.parse().ok()?, port?)))
                    .collect::<Vec<_>>()
            });
        addresses
            .next()
            .with_context(|| format!("no Pod of {} is ready", self.service))
    }
}

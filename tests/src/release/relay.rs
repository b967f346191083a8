//! What kube-proxy does for Pods, for the tests' process: it is on no node.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use huly_relay::Relay;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::net::TcpStream;

/// A relay that connects who comes to a port of this machine with a ready Pod of a Service, at a port
/// by its name. A connection stays with its Pod; one that cannot be made is closed, and its client
/// comes again.
///
/// # Errors
/// When there is no free port.
pub(super) async fn to_service(
    client: Client,
    namespace: &str,
    service: &str,
    port: &str,
) -> Result<Relay> {
    let slices = Slices {
        api: Api::namespaced(client, namespace),
        service: service.to_owned(),
        port: port.to_owned(),
    };
    let connect = move || {
        let slices = slices.clone();
        async move { anyhow::Ok(TcpStream::connect(slices.ready().await?).await?) }
    };
    Ok(Relay::to(Duration::ZERO, connect).await?)
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

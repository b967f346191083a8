//! Watches of the cluster's objects.

mod delays;
mod reflector;

use huly_operator_api::{ContainerClaim, ContainerKind};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use self::reflector::Reflector;
use crate::core::{Input, Object};
use crate::metrics::Metrics;

/// Who is told what is listed and watched. At each change everything is listed anew: what a leader
/// does is based on nothing from before it led.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) inputs: UnboundedSender<Input>,
    /// No list of an older version is told.
    pub(super) floor: u64,
}

/// Watches all kinds, the claims of the network, and the namespaces' metadata.
pub(super) fn start(
    kube: &Client,
    network: &str,
    audience: &watch::Receiver<Audience>,
    metrics: &Metrics,
) {
    let kinds: Api<DeserializeGuard<ContainerKind>> = Api::all(kube.clone());
    let kinds = Reflector {
        api: kinds,
        fields: None,
        what: "ContainerKinds",
        reason: "watch_kinds",
        read: guarded("ContainerKind"),
        input: Input::Kinds,
        metrics: metrics.clone(),
    };
    tokio::spawn(kinds.run(audience.clone()));

    let claims: Api<DeserializeGuard<ContainerClaim>> = Api::all(kube.clone());
    let claims = Reflector {
        api: claims,
        fields: Some(format!("spec.networkName={network}")),
        what: "ContainerClaims",
        reason: "watch_claims",
        read: guarded("ContainerClaim"),
        input: Input::Claims,
        metrics: metrics.clone(),
    };
    tokio::spawn(claims.run(audience.clone()));

    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(kube.clone());
    let namespaces = Reflector {
        api: namespaces,
        fields: None,
        what: "Namespaces",
        reason: "watch_namespaces",
        read: |object: PartialObjectMeta<Namespace>| Object::Read(object.metadata.into()),
        input: Input::Namespaces,
        metrics: metrics.clone(),
    };
    tokio::spawn(namespaces.run(audience.clone()));
}

/// Reads an object, or says that it is there and cannot be read.
fn guarded<K, T>(what: &'static str) -> impl Fn(DeserializeGuard<K>) -> Object<T> + Send + Sync
where
    K: Resource,
    T: From<K>,
{
    move |DeserializeGuard(object)| match object {
        Ok(object) => Object::Read(object.into()),
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            let namespace = invalid.metadata.namespace.unwrap_or_default();
            tracing::error!(
                namespace,
                name,
                error = invalid.error,
                "{what} is unreadable"
            );
            Object::Unreadable(invalid.metadata.uid.unwrap_or_default())
        }
    }
}

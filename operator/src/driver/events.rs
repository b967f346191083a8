//! Events about claims: best effort, never in the way of anything else.

use futures::StreamExt;
use huly_operator_api::{ContainerClaim, GROUP};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::core::ClaimRef;
use crate::metrics::Metrics;
use crate::plan::events::ClaimEvent;

/// Events that wait; more are dropped.
const WAITING: usize = 4_096;
/// Events written at once.
const AT_ONCE: usize = 4;
/// The most characters of a note, and of a name before its suffix.
const MAX_NOTE: usize = 1_000;
const MAX_NAME: usize = 220;

/// Writes Events in the background.
pub(super) struct Events {
    sender: Sender<Event>,
    metrics: Metrics,
    instance: String,
}

impl Events {
    pub(super) fn start(kube: Client, metrics: Metrics) -> Self {
        let (sender, receiver) = channel(WAITING);
        tokio::spawn(write(kube, metrics.clone(), receiver));
        Self {
            sender,
            metrics,
            instance: format!("huly-operator-{}", std::process::id()),
        }
    }

    pub(super) fn tell(&self, claim: ClaimRef, event: ClaimEvent) {
        let ClaimRef {
            namespace, name, ..
        } = &claim;
        tracing::info!(namespace, name, reason = event.reason, "{}", event.note);
        let event = object(claim, event, &self.instance, Timestamp::now());
        if self.sender.try_send(event).is_err() {
            self.metrics.error("event_dropped");
        }
    }
}

async fn write(kube: Client, metrics: Metrics, mut receiver: Receiver<Event>) {
    let waiting = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    let written = waiting.for_each_concurrent(AT_ONCE, |event| {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(kube.clone(), &namespace);
        let metrics = &metrics;
        async move {
            if let Err(error) = events.create(&PostParams::default(), &event).await {
                metrics.error("event");
                tracing::debug!(%error, "an Event was not written");
            }
        }
    });
    written.await;
}

fn object(claim: ClaimRef, event: ClaimEvent, instance: &str, now: Timestamp) -> Event {
    let prefix: String = claim.name.chars().take(MAX_NAME).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}.{:x}", now.as_nanosecond())),
            namespace: Some(claim.namespace.clone()),
            ..ObjectMeta::default()
        },
        regarding: Some(ObjectReference {
            api_version: Some(ContainerClaim::api_version(&()).into_owned()),
            kind: Some(ContainerClaim::kind(&()).into_owned()),
            name: Some(claim.name),
            namespace: Some(claim.namespace),
            uid: Some(claim.uid),
            ..ObjectReference::default()
        }),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(event.reason.to_owned()),
        action: Some(event.action.to_owned()),
        note: Some(event.note.chars().take(MAX_NOTE).collect()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(format!("{GROUP}/huly-operator")),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_its_claim_and_fits() {
        let claim = ClaimRef {
            namespace: "demo".into(),
            name: "n".repeat(253),
            uid: "uid".into(),
        };
        let event = ClaimEvent {
            reason: "Bound",
            warning: false,
            action: "Bind",
            note: "x".repeat(5_000),
        };
        let event = object(claim, event, "me", Timestamp::now());
        assert!(event.metadata.name.unwrap().len() <= 253);
        assert_eq!(event.note.map(|note| note.len()), Some(1_000));
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.kind.as_deref(), Some("ContainerClaim"));
        let version = regarding.api_version.as_deref();
        assert_eq!(version, Some("network.huly.io/v1alpha1"));
        assert_eq!(regarding.uid.as_deref(), Some("uid"));
    }
}

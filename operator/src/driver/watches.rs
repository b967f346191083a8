//! Watches of the cluster's objects.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use futures::{Stream, StreamExt};
use huly_operator_api::{ContainerClaim, ContainerKind};
use huly_program::with_causes;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, Error, Event, ExponentialBackoff, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc::UnboundedSender;

use crate::core::{Input, Object, Watched};
use crate::metrics::Metrics;

/// The delays before a watch is begun again.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Watches all kinds, the claims of the network, and the namespaces' metadata.
pub(super) fn start(
    kube: &Client,
    network: &str,
    inputs: &UnboundedSender<Input>,
    metrics: &Metrics,
) {
    let follower = |what, reason| Follower {
        what,
        reason,
        inputs: inputs.clone(),
        metrics: metrics.clone(),
    };
    let kinds: Api<DeserializeGuard<ContainerKind>> = Api::all(kube.clone());
    let stream = watcher(kinds, Config::default());
    let follow = follower("ContainerKinds", "watch_kinds");
    tokio::spawn(follow.run(stream, guarded("ContainerKind"), Input::Kinds));

    let claims: Api<DeserializeGuard<ContainerClaim>> = Api::all(kube.clone());
    let ours = Config::default().fields(&format!("spec.networkName={network}"));
    let stream = watcher(claims, ours);
    let follow = follower("ContainerClaims", "watch_claims");
    tokio::spawn(follow.run(stream, guarded("ContainerClaim"), Input::Claims));

    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(kube.clone());
    let stream = watcher(namespaces, Config::default());
    let follow = follower("Namespaces", "watch_namespaces");
    let read = |object: PartialObjectMeta<Namespace>| Object::Read(object.metadata.into());
    tokio::spawn(follow.run(stream, read, Input::Namespaces));
}

/// Reads an object, or says that it is there and cannot be read.
fn guarded<K, T>(what: &'static str) -> impl Fn(DeserializeGuard<K>) -> Object<T> + Send
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

/// How long after each failure a watch is tried again.
///
/// A stream's backoff is reset with each of its events, and a watch says one before each try: of
/// what is not there, its first delay would be the only one. Here only time resets it.
struct Delays {
    growing: ExponentialBackoff,
    last: Option<Instant>,
}

impl Delays {
    fn new() -> Self {
        let growing = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Self {
            growing: growing.into(),
            last: None,
        }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let last = self.last.replace(now);
        if last.is_some_and(|last| now.duration_since(last) > 4 * LONGEST_DELAY) {
            self.growing.reset();
        }
        self.growing.next()
    }
}

impl Backoff for Delays {
    fn reset(&mut self) {}
}

struct Follower {
    what: &'static str,
    /// For the metrics.
    reason: &'static str,
    inputs: UnboundedSender<Input>,
    metrics: Metrics,
}

impl Follower {
    async fn run<K, T>(
        self,
        stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        read: impl Fn(K) -> Object<T> + Send,
        input: impl Fn(Watched<T>) -> Input + Send,
    ) where
        K: Debug + Send,
        T: Send,
    {
        let stream = stream.backoff(Delays::new());
        futures::pin_mut!(stream);
        let mut listed = Vec::new();
        let mut told = None;
        while let Some(event) = stream.next().await {
            let watched = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listed.push(read(object));
                    continue;
                }
                Ok(Event::InitDone) => {
                    let count = listed.len();
                    tracing::info!(count, "{} are listed", self.what);
                    told = None;
                    Watched::Listed(std::mem::take(&mut listed))
                }
                Ok(Event::Apply(object)) => Watched::Applied(read(object)),
                Ok(Event::Delete(object)) => Watched::Deleted(read(object)),
                Err(error) => {
                    self.complain(&error, &mut told);
                    continue;
                }
            };
            if self.inputs.send(input(watched)).is_err() {
                return;
            }
        }
    }

    /// Counts an error, and logs it unless it is the one that was `told` last: it is tried again
    /// several times a second.
    fn complain(&self, error: &Error, told: &mut Option<String>) {
        self.metrics.error(self.reason);
        // A watch that grew too old is listed again: nothing is wrong.
        if let Error::WatchError(status) = error
            && status.code == 410
        {
            return;
        }
        let text = with_causes(error);
        if told.as_ref() != Some(&text) {
            tracing::warn!(error = %text, "cannot watch {}", self.what);
            *told = Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::utils::Backoff;

    use super::{Delays, FIRST_DELAY, LONGEST_DELAY};

    #[test]
    fn what_is_not_there_is_asked_for_ever_later() {
        let mut delays = Delays::new();
        let mut asked = Vec::new();
        for _ in 0..12 {
            asked.extend(delays.next());
            // The watch says an event before each try.
            delays.reset();
        }
        assert!(asked[0] < 2 * FIRST_DELAY, "{asked:?}");
        assert!(asked[11] >= LONGEST_DELAY, "{asked:?}");
    }
}

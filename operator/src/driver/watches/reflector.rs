//! One resource: its list, and then what changes.
//!
//! The reflector knows the versions of what it tells. It never tells a list that is older than what
//! it has told before, for such a list lacks objects that exist: an API server whose cache is behind,
//! or another one of several. And it delays whatever fails, also a watch that ends as it begins.

use std::fmt::{Debug, Display};
use std::time::Duration;

use futures::{Stream, StreamExt};
use huly_program::with_causes;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Error, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Audience;
use super::delays::Delays;
use crate::core::{Input, Object, Watched};
use crate::metrics::Metrics;

/// How long the API server keeps a watch open. One that is dead and does not look like it is noticed
/// by the time that this is over.
const WATCH: Duration = Duration::from_secs(30);
/// How much later than that it is given up.
const LATE: Duration = Duration::from_secs(5);
/// A watch that ends sooner without an event has failed.
const SHORT: Duration = Duration::from_secs(1);
/// Objects in a page of a list, as other clients ask for them.
const PAGE: u32 = 500;

/// See the module.
pub(super) struct Reflector<K, R, I> {
    pub(super) api: Api<K>,
    /// A field selector.
    pub(super) fields: Option<String>,
    pub(super) what: &'static str,
    /// For the metrics.
    pub(super) reason: &'static str,
    pub(super) read: R,
    pub(super) input: I,
    pub(super) metrics: Metrics,
}

/// What was told so far.
#[derive(Debug, Default)]
struct Progress {
    /// The highest version; 0 while versions are no numbers.
    seen: u64,
    /// What is wrong.
    trouble: Option<String>,
}

/// How a watch ended.
enum End {
    /// As it is meant to.
    Over,
    /// Its version is too old: only a list helps.
    Expired,
    Failed(String),
    /// Nobody listens.
    Unheard,
}

impl<K, T, R, I> Reflector<K, R, I>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + 'static,
    R: Fn(K) -> Object<T> + Send + Sync + 'static,
    I: Fn(Watched<T>) -> Input + Send + Sync + 'static,
{
    /// Tells whoever is the audience, until there is none any more.
    pub(super) async fn run(self, mut audiences: watch::Receiver<Audience>) {
        let mut progress = Progress::default();
        let mut delays = Delays::new();
        loop {
            let audience = audiences.borrow_and_update().clone();
            progress.trouble = None;
            tokio::select! {
                () = self.tell(&audience, &mut progress, &mut delays) => {}
                // The sender is the driver's: without it the process ends.
                changed = audiences.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Lists, and watches until that needs another list; without end.
    async fn tell(&self, audience: &Audience, progress: &mut Progress, delays: &mut Delays) {
        loop {
            let (objects, version) = match self.list(progress.seen.max(audience.floor)).await {
                Ok(listed) => listed,
                Err(why) => {
                    self.failed(audience, progress, delays, why).await;
                    continue;
                }
            };
            self.is_well(audience, progress);
            tracing::info!(count = objects.len(), "{} are listed", self.what);
            progress.seen = progress.seen.max(number(&version));
            if !self.send(audience, Watched::Listed(objects)) {
                return std::future::pending().await;
            }
            let mut since = version;
            loop {
                match self.follow(audience, &mut since, progress).await {
                    End::Over => {}
                    End::Expired => {
                        let why = format!("version {since} is too old to go on from");
                        self.failed(audience, progress, delays, why).await;
                        break;
                    }
                    End::Failed(why) => self.failed(audience, progress, delays, why).await,
                    // Until there is another audience.
                    End::Unheard => return std::future::pending().await,
                }
            }
        }
    }

    /// All objects, and the version of which they are.
    async fn list(&self, floor: u64) -> Result<(Vec<Object<T>>, String), String> {
        let mut params = ListParams {
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        let mut objects = Vec::new();
        loop {
            let page = self.api.list(&params).await;
            let page = page.map_err(|error| with_causes(&error))?;
            objects.extend(page.items.into_iter().map(&self.read));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_some() {
                continue;
            }
            let version = page.metadata.resource_version.unwrap_or_default();
            let listed = number(&version);
            if listed > 0 && listed < floor {
                return Err(format!(
                    "the API server lists version {listed}, which is older than {floor}: what is \
                     missing in it may exist"
                ));
            }
            return Ok((objects, version));
        }
    }

    /// Tells what changes, until the watch ends.
    async fn follow(
        &self,
        audience: &Audience,
        since: &mut String,
        progress: &mut Progress,
    ) -> End {
        let params = WatchParams {
            field_selector: self.fields.clone(),
            timeout: u32::try_from(WATCH.as_secs()).ok(),
            ..WatchParams::default()
        };
        let begun = Instant::now();
        let events = match self.api.watch(&params, since).await {
            Ok(events) => events,
            Err(Error::Api(status)) if status.code == 410 => return End::Expired,
            Err(error) => return End::Failed(with_causes(&error)),
        };
        let mut told = 0u64;
        let end = self
            .events(events, audience, since, progress, &mut told)
            .await;
        match end {
            End::Over if told == 0 && begun.elapsed() < SHORT => {
                End::Failed("the API server closes the watch as soon as it begins".to_owned())
            }
            end => end,
        }
    }

    async fn events(
        &self,
        events: impl Stream<Item = Result<WatchEvent<K>, Error>> + Send,
        audience: &Audience,
        since: &mut String,
        progress: &mut Progress,
        told: &mut u64,
    ) -> End {
        futures::pin_mut!(events);
        let mut lasts = false;
        loop {
            let patience = if lasts { WATCH + LATE } else { SHORT };
            let Ok(event) = timeout(patience, events.next()).await else {
                if lasts {
                    return End::Failed("the watch is silent and does not end".to_owned());
                }
                lasts = true;
                self.is_well(audience, progress);
                continue;
            };
            let (object, deleted) = match event {
                None => return End::Over,
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    (object, false)
                }
                Some(Ok(WatchEvent::Deleted(object))) => (object, true),
                Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                    self.is_well(audience, progress);
                    *since = bookmark.metadata.resource_version;
                    progress.seen = progress.seen.max(number(since));
                    continue;
                }
                Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return End::Expired,
                Some(Ok(WatchEvent::Error(status))) => return End::Failed(status.to_string()),
                Some(Err(error)) => return End::Failed(with_causes(&error)),
            };
            self.is_well(audience, progress);
            *told += 1;
            let Some(version) = object.meta().resource_version.clone() else {
                return End::Expired;
            };
            *since = version;
            progress.seen = progress.seen.max(number(since));
            let object = (self.read)(object);
            let watched = match deleted {
                false => Watched::Applied(object),
                true => Watched::Deleted(object),
            };
            if !self.send(audience, watched) {
                return End::Unheard;
            }
        }
    }

    fn send(&self, audience: &Audience, watched: Watched<T>) -> bool {
        audience.inputs.send((self.input)(watched)).is_ok()
    }

    /// Counts a failure, says it unless it was said last, and waits.
    async fn failed(
        &self,
        audience: &Audience,
        progress: &mut Progress,
        delays: &mut Delays,
        why: impl Display,
    ) {
        self.metrics.error(self.reason);
        let why = why.to_string();
        if progress.trouble.as_ref() != Some(&why) {
            tracing::warn!(error = why, "cannot watch {}", self.what);
            progress.trouble = Some(why);
            self.say(audience, progress);
        }
        sleep(delays.after_failure()).await;
    }

    fn is_well(&self, audience: &Audience, progress: &mut Progress) {
        if progress.trouble.take().is_some() {
            self.say(audience, progress);
        }
    }

    fn say(&self, audience: &Audience, progress: &Progress) {
        // Of a former audience nobody asks.
        let _ = audience.inputs.send(Input::Watch {
            what: self.what,
            trouble: progress.trouble.clone(),
        });
    }
}

/// A version as a number, by which later ones are higher; 0 if it is none.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or_default()
}

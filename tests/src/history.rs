//! Every version of an object that was served while a test ran.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::eventually::SOON;
use crate::object::Object;

/// How long the first list may take.
const LIST: Duration = Duration::from_secs(10);

/// A version of an object, or its end.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When this process was told.
    pub at: Instant,
    /// The object; none when it was deleted.
    pub object: Option<DynamicObject>,
}

/// Watches one object.
#[derive(Debug)]
pub struct History {
    name: String,
    made: Instant,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins to watch, and returns once every later change will be seen.
    ///
    /// # Errors
    /// When the API server does not list within 10 s.
    pub(crate) async fn of(api: Api<DynamicObject>, name: &str) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let (counted, count) = watch::channel(0);
        let (list, mut listed) = watch::channel(false);
        let versions = Arc::clone(&seen);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                let object = match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => Some(object),
                    Ok(Event::Delete(_)) => None,
                    Ok(Event::InitDone) => {
                        list.send_replace(true);
                        continue;
                    }
                    // An API server that is away is asked again.
                    Ok(Event::Init) | Err(_) => continue,
                };
                let mut versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
                let known = versions.last().and_then(|seen| seen.object.as_ref());
                // A watch that began again shows what is known.
                if object.is_some()
                    && known.map(Object::version) == object.as_ref().map(Object::version)
                {
                    continue;
                }
                versions.push(Seen {
                    at: Instant::now(),
                    object,
                });
                counted.send_replace(versions.len());
            }
        });
        let history = Self {
            name: name.to_owned(),
            made: Instant::now(),
            seen,
            count,
            task,
        };
        timeout(LIST, listed.wait_for(|listed| *listed))
            .await
            .with_context(|| format!("{name} cannot be watched"))??;
        Ok(history)
    }

    /// Notes that the API server has just made the object.
    pub(crate) fn made_now(&mut self) {
        self.made = Instant::now();
    }

    /// How long after its making (as far as that was noted) a version came.
    pub fn after_its_making(&self, version: Instant) -> Duration {
        version.saturating_duration_since(self.made)
    }

    /// All versions so far.
    pub fn versions(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// As [`History::until`]: until it is Ready.
    ///
    /// # Errors
    /// When it is not within [`SOON`].
    pub async fn until_ready(&self) -> Result<(DynamicObject, Instant)> {
        self.until(SOON, "is Ready", |object| object.is("Ready"))
            .await
    }

    /// As [`History::until`]: until `Bound` is False for a reason.
    ///
    /// # Errors
    /// When it is not within [`SOON`].
    pub async fn until_refused(&self, reason: &str) -> Result<(DynamicObject, Instant)> {
        let refused = |claim: &DynamicObject| claim.is_not("Bound", reason);
        self.until(SOON, &format!("is refused: {reason}"), refused)
            .await
    }

    /// The first version, of those seen and to come, that `holds`, and when it was seen.
    ///
    /// # Errors
    /// When there is none by the deadline: with the last version's status.
    pub async fn until(
        &self,
        deadline: Duration,
        what: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> Result<(DynamicObject, Instant)> {
        self.until_after(0, deadline, what, holds).await
    }

    /// As [`History::until`], without the first `skip` versions.
    ///
    /// # Errors
    /// As [`History::until`].
    pub async fn until_after(
        &self,
        skip: usize,
        deadline: Duration,
        what: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> Result<(DynamicObject, Instant)> {
        let found = || {
            let versions = self.versions();
            versions.into_iter().skip(skip).find_map(|seen| {
                let object = seen.object.filter(|object| holds(object))?;
                Some((object, seen.at))
            })
        };
        let mut count = self.count.clone();
        let wait = timeout(deadline, count.wait_for(|_| found().is_some()));
        // What came in the meantime counts, whether the wait ended by it or by the deadline.
        let _ = wait.await;
        match found() {
            Some(found) => Ok(found),
            None => bail!(
                "not within {deadline:?}: {} {what}; seen so far:\n{self}",
                self.name
            ),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in self.versions() {
            let after = self.after_its_making(seen.at);
            let object = seen.object;
            let shown = object.map_or_else(|| "deleted".to_owned(), |object| object.shown());
            writeln!(f, "after {after:?}: {shown}")?;
        }
        Ok(())
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

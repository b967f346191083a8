//! What the claims of a namespace said of their containers, at every version.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::object::Object;

/// How long the first list may take.
const LIST: Duration = Duration::from_secs(10);

/// Watches the claims of a namespace.
pub(crate) struct Lives {
    claims: Arc<Mutex<BTreeMap<String, Life>>>,
    task: JoinHandle<()>,
}

/// What a claim said.
#[derive(Debug, Default)]
struct Life {
    /// The epoch that it was bound at first.
    epoch: Option<String>,
    /// What it said otherwise since.
    wrong: Vec<String>,
}

impl Life {
    fn note(&mut self, claim: &DynamicObject) {
        let bound = claim.is("Bound").then(|| claim.text("/status/epoch"));
        match (&self.epoch, bound) {
            (None, bound) => self.epoch = bound.map(str::to_owned),
            (Some(known), Some(epoch)) if known == epoch => {}
            _ => self.wrong.push(claim.shown()),
        }
    }
}

impl Lives {
    pub(crate) async fn of(claims: Api<DynamicObject>) -> Result<Self> {
        let (told, mut listed) = watch::channel(false);
        let lives: Arc<Mutex<BTreeMap<String, Life>>> = Arc::default();
        let noted = lives.clone();
        let task = tokio::spawn(async move {
            let events = watcher::watcher(claims, watcher::Config::default()).default_backoff();
            futures::pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(claim) | Event::InitApply(claim)) => {
                        let mut lives = noted.lock().unwrap_or_else(PoisonError::into_inner);
                        lives
                            .entry(claim.name().to_owned())
                            .or_default()
                            .note(&claim);
                    }
                    Ok(Event::InitDone) => {
                        told.send_replace(true);
                    }
                    Ok(Event::Delete(_) | Event::Init) | Err(_) => {}
                }
            }
        });
        timeout(LIST, listed.wait_for(|listed| *listed))
            .await
            .context("the claims cannot be watched")??;
        Ok(Self {
            claims: lives,
            task,
        })
    }

    /// How many were ever bound.
    pub(crate) fn bound(&self) -> usize {
        let lives = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        lives.values().filter(|life| life.epoch.is_some()).count()
    }

    /// Expects each to have said of one life alone that it is bound, and nothing else since.
    pub(crate) fn were_one_each(&self) -> Result<()> {
        let lives = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, life) in lives.iter() {
            let Life { epoch, wrong } = life;
            ensure!(
                wrong.is_empty(),
                "{name} was bound at {epoch:?}, and then said\n{}",
                wrong.join("\n")
            );
        }
        Ok(())
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! Clients that get containers, ask them something and let go of them, one after the other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::{Client, ContainerRef, Error, Get};
use huly_protocol::Epoch;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::fates::Fates;

/// The kind of what is visited.
pub(super) const KIND: &str = "echo";

/// How long a get or a release may take: longer than it takes to find that agents in turn are silent, 3 s
/// each, where one goes silent whenever another one is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often a visit begins, whatever became of those before.
const PACE: Duration = Duration::from_millis(200);

/// How many containers are visited by labels.
const LABELS: usize = 3;

/// By what visitors get containers.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// A uuid that nobody had before.
    Uuid,
    /// Labels that other visitors look for, too.
    Labels,
}

/// What a container says of itself.
#[derive(Debug, Deserialize)]
struct Who {
    uuid: String,
    epoch: Option<Epoch>,
    labels: Vec<String>,
}

/// Visits until it is told to stop and all who were there have left. What is visited has the load's
/// name in its uuid or labels.
///
/// # Errors
/// When something comes to what it must not.
pub(super) async fn visit(
    client: Client,
    load: String,
    by: By,
    mut stop: watch::Receiver<bool>,
) -> Result<Fates> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut fates, mut under_way) = (Fates::default(), JoinSet::new());
    for number in 0_usize.. {
        tokio::select! {
            _ = pace.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        under_way.spawn(one(client.clone(), load.clone(), by, number));
        while let Some(done) = under_way.try_join_next() {
            fates.add(done??);
        }
    }
    while let Some(done) = under_way.join_next().await {
        fates.add(done??);
    }
    Ok(fates)
}

async fn one(client: Client, load: String, by: By, number: usize) -> Result<Fates> {
    let mut fates = Fates::default();
    let (uuid, labels) = match by {
        By::Uuid => (Some(format!("{load}-{}", Uuid::new_v4())), Vec::new()),
        By::Labels => (None, vec![format!("{load}-{}", number % LABELS)]),
    };
    let get = client.get(KIND).labels(labels.clone());
    let get = uuid.iter().fold(get, Get::uuid).deadline(PATIENCE);
    let Ok(held) = told(&mut fates, "get", PATIENCE, get).await? else {
        return Ok(fates);
    };
    if let Some(uuid) = &uuid {
        ensure!(
            held.uuid() == uuid,
            "{uuid} was asked for, not {}",
            held.uuid()
        );
    }
    let who = asked(&held);
    if let Ok(who) = told(&mut fates, "visit", DEADLINE, who).await? {
        ensure!(
            who.uuid == held.uuid(),
            "{} answers as {who:?}",
            held.uuid()
        );
        ensure!(
            who.labels == labels,
            "{labels:?} were asked for, not {who:?}"
        );
        let epoch = who.epoch.context("an agent of ours knows the epoch")?;
        ensure!(epoch.n > 0, "{who:?}");
    }
    let _ = told(&mut fates, "release", PATIENCE, held.release()).await?;
    Ok(fates)
}

async fn asked(held: &ContainerRef) -> Result<Who, Error> {
    held.request("who", &json!(null)).deadline(DEADLINE).await
}

/// What a call comes to, once that is noted.
async fn told<T>(
    fates: &mut Fates,
    what: &'static str,
    deadline: Duration,
    call: impl IntoFuture<Output = Result<T, Error>>,
) -> Result<Result<T, Error>> {
    let began = Instant::now();
    let outcome = call.await;
    fates.note(what, &outcome, began.elapsed(), deadline)?;
    Ok(outcome)
}

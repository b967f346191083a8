//! A steady load of claims: made, changed and deleted all the time, whatever happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::live::Live;
use crate::lives::Lives;
use crate::object::Object;
use crate::report::measured;
use crate::scenario::Scenario;
use crate::stay::Stay;

/// Between two claims.
const PACE: Duration = Duration::from_millis(100);
/// How many are left before the oldest is deleted.
const KEPT: usize = 20;
/// How much later than it is made a claim is changed.
const CHANGED: usize = 2;

/// Claims that come and go, of a namespace of their own.
pub struct Churn {
    namespace: String,
    stop: watch::Sender<bool>,
    load: JoinHandle<Result<Made>>,
    lives: Lives,
    made: watch::Receiver<usize>,
}

/// What the load made.
#[derive(Debug)]
struct Made {
    count: usize,
    /// Those that exist, and are to be bound.
    left: BTreeSet<String>,
}

impl Churn {
    /// Starts it with containers of the ContainerKind of those that stay.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn start(test: &Scenario, stay: &Stay) -> Result<Self> {
        let cluster = &test.cluster;
        let namespace = cluster.namespace("churn").await?;
        let (stop, stopped) = watch::channel(false);
        let (counter, made) = watch::channel(0);
        Ok(Self {
            lives: Lives::of(cluster.claims(&namespace)).await?,
            load: tokio::spawn(load(
                cluster.again(),
                namespace.clone(),
                stay.kind().to_owned(),
                stopped,
                counter,
            )),
            namespace,
            stop,
            made,
        })
    }

    /// Waits until as many claims more were made, whatever becomes of them: a while under load.
    ///
    /// # Errors
    /// When the load has ended.
    pub async fn goes_on(&self, count: usize) -> Result<()> {
        let mut made = self.made.clone();
        let until = *made.borrow() + count;
        let made = made.wait_for(|made| *made >= until).await;
        made.context("the load has ended")?;
        Ok(())
    }

    /// Waits until as many claims more were bound for the first time.
    ///
    /// # Errors
    /// When they were not by the deadline.
    pub async fn bound_more(&self, count: usize, deadline: Duration) -> Result<()> {
        let before = self.lives.bound();
        let what = format!("{count} claims more are bound");
        eventually(deadline, &what, async || {
            let now = self.lives.bound();
            ensure!(now >= before + count, "{} were", now - before);
            Ok(())
        })
        .await
    }

    /// Ends the load, and waits until every claim that is left is bound to a container that lives,
    /// where the claim says, held once; and nothing else lives. Then every claim was bound to one life
    /// of one container from the first time until its end.
    ///
    /// # Errors
    /// When it is not so by the deadline, or was otherwise at any time.
    pub async fn comes_right(self, test: &Scenario, deadline: Duration) -> Result<()> {
        self.stop.send_replace(true);
        let made = self.load.await.context("the load was cut off")??;
        let stopped = Instant::now();
        let what = format!(
            "of {} claims the {} left are right",
            made.count,
            made.left.len()
        );
        eventually(deadline, &what, async || {
            let claims = test.cluster.claims(&self.namespace);
            let claims = claims.list(&ListParams::default()).await?.items;
            are_right(&claims, &made.left, &test.live).await
        })
        .await?;
        measured("all claims are right after", stopped.elapsed());
        ensure!(made.count > KEPT + CHANGED, "only {} were made", made.count);
        self.lives.were_one_each()
    }
}

async fn load(
    cluster: Cluster,
    namespace: String,
    kind: String,
    stopped: watch::Receiver<bool>,
    counter: watch::Sender<usize>,
) -> Result<Made> {
    let claims = cluster.claims(&namespace);
    let name = |number: usize| format!("churn-{number}");
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    while !*stopped.borrow() {
        pace.tick().await;
        let spec = json!({
            "networkName": cluster.network(),
            "containerKindName": kind,
            "uuid": format!("{namespace}-{count}"),
        });
        cluster.create_claim(&namespace, &name(count), spec).await?;
        if let Some(earlier) = count.checked_sub(CHANGED) {
            let change = json!({"metadata": {"annotations": {"test/changed": count.to_string()}}});
            cluster.change(&claims, &name(earlier), change).await?;
        }
        if let Some(oldest) = count.checked_sub(KEPT) {
            claims
                .delete(&name(oldest), &DeleteParams::default())
                .await?;
        }
        count += 1;
        counter.send_replace(count);
    }
    let left = (count.saturating_sub(KEPT)..count).map(name).collect();
    Ok(Made { count, left })
}

async fn are_right(
    claims: &[DynamicObject],
    expected: &BTreeSet<String>,
    live: &Live,
) -> Result<()> {
    let names: BTreeSet<String> = claims.iter().map(|claim| claim.name().to_owned()).collect();
    ensure!(names == *expected, "there are {names:?}");
    let records = live.client().containers(Some(Stay::KIND)).await?;
    let uuids: BTreeSet<&str> = claims
        .iter()
        .map(|claim| claim.text("/spec/uuid"))
        .collect();
    let mut living = BTreeMap::new();
    for record in &records {
        let known = living.insert(record.uuid.as_str(), record);
        ensure!(known.is_none(), "{} lives twice", record.uuid);
        // Of this load, for others have containers, too.
        let ours = record.uuid.contains("-churn-");
        ensure!(
            !ours || uuids.contains(record.uuid.as_str()),
            "{} has no claim",
            record.uuid
        );
    }
    for claim in claims {
        let (name, uuid) = (claim.name(), claim.text("/spec/uuid"));
        ensure!(claim.is("Ready"), "{name}: {}", claim.shown());
        let Some(record) = living.get(uuid) else {
            bail!("{name}: {uuid} does not live");
        };
        let more = record.huly.clone().unwrap_or_default();
        let epoch = more
            .epoch
            .map(|epoch| format!("{}.{}", epoch.term, epoch.n));
        let says = (claim.text("/status/agent"), claim.text("/status/epoch"));
        let is = (
            record.agent_id.as_str(),
            epoch.as_deref().unwrap_or_default(),
        );
        ensure!(says == is, "{name} says {says:?}, it is {is:?}");
        let references = more.references.unwrap_or_default();
        ensure!(references == 1, "{name} is held {references} times");
    }
    Ok(())
}

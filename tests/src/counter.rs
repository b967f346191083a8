//! Claimed counters: most tests look after one, for a counter knows whether it was started anew.

use std::time::Instant;

use anyhow::{Result, ensure};
use huly_protocol::Epoch;
use kube::core::DynamicObject;
use serde_json::json;

use crate::cluster::Cluster;
use crate::eventually::SOON;
use crate::history::History;
use crate::live::Live;
use crate::object::Object;
use crate::scenario::Scenario;

/// A claim of a counter with the uuid of its name, as it was once it was Ready and counted up.
#[derive(Debug)]
pub struct Counter {
    /// The claim's name and the container's uuid.
    pub name: String,
    /// The claim's namespace.
    pub namespace: String,
    /// What it was counted up to.
    pub value: u64,
    /// The claim's versions.
    pub claim: History,
    /// The first version that was Ready.
    pub bound: DynamicObject,
    /// Which life of the uuid it was.
    pub epoch: Epoch,
}

impl Scenario {
    /// Claims a counter, waits until it is Ready and counts it up to `value`.
    ///
    /// # Errors
    /// As [`Counter::claimed`].
    pub async fn counter(
        &self,
        namespace: &str,
        container_kind: &str,
        name: &str,
        value: u64,
    ) -> Result<Counter> {
        let (cluster, live) = (&self.cluster, &self.live);
        Counter::claimed(cluster, live, namespace, container_kind, name, value).await
    }
}

impl Counter {
    /// Claims one, waits until it is Ready and counts it up to `value`.
    ///
    /// # Errors
    /// When the API server refuses the claim, or it is not Ready soon.
    pub async fn claimed(
        cluster: &Cluster,
        live: &Live,
        namespace: &str,
        container_kind: &str,
        name: &str,
        value: u64,
    ) -> Result<Self> {
        let spec = json!({ "uuid": name });
        let claim = cluster.claim(namespace, name, container_kind, spec).await?;
        let (bound, _) = claim.until_ready().await?;
        let counted = live.increment(name, value).await?;
        ensure!(counted == value, "{name} was at {} before", counted - value);
        Ok(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            value,
            claim,
            bound,
            epoch: live.epoch(name).await?,
        })
    }

    /// The agent that it was bound on.
    pub fn agent(&self) -> &str {
        self.bound.text("/status/agent")
    }

    /// Waits until it is bound in its next life.
    ///
    /// # Errors
    /// When it is not soon.
    pub async fn until_bound_again(&self) -> Result<(DynamicObject, Instant)> {
        let failovers = self.bound.number("/status/failovers") + 1;
        let again = |claim: &DynamicObject| {
            claim.is("Ready") && claim.number("/status/failovers") == failovers
        };
        self.claim.until(SOON, "is Bound again", again).await
    }

    /// Expects its container to be the one that it was, at the value that it had.
    ///
    /// # Errors
    /// When it was placed or started again, or does not answer.
    pub async fn lives_on(&self, live: &Live) -> Result<()> {
        let (name, value) = (&self.name, live.value(&self.name).await?);
        ensure!(
            value == self.value,
            "{name} was started again: it is at {value}, not at {}",
            self.value
        );
        let epoch = live.epoch(name).await?;
        ensure!(
            epoch == self.epoch,
            "{name} was placed again: {epoch:?} after {:?}",
            self.epoch
        );
        Ok(())
    }

    /// Expects no version of its claim to have said that it was not bound, from the first Bound on.
    ///
    /// # Errors
    /// When one did.
    pub fn stayed_bound(&self) -> Result<()> {
        let versions = self.claim.versions();
        let objects = versions.iter().filter_map(|seen| seen.object.as_ref());
        let mut bound = objects.skip_while(|object| !object.is("Bound"));
        ensure!(bound.all(|object| object.is("Bound")), "{}", self.claim);
        Ok(())
    }

    /// Expects nobody to have written its claim since.
    ///
    /// # Errors
    /// When somebody has, or the API server does not say.
    pub async fn is_unwritten(&self, cluster: &Cluster) -> Result<()> {
        let now = cluster.claims(&self.namespace).get(&self.name).await?;
        ensure!(
            now.version() == self.bound.version(),
            "{} was written: {}",
            self.name,
            now.shown()
        );
        Ok(())
    }

    /// Expects both: its container lives on, its claim is as it was.
    ///
    /// # Errors
    /// As [`Counter::lives_on`] and [`Counter::is_unwritten`].
    pub async fn is_untouched(&self, test: &Scenario) -> Result<()> {
        self.is_unwritten(&test.cluster).await?;
        self.lives_on(&test.live).await
    }
}

//! Claimed counters on the nodes, and whether all that is said of them agrees.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::json;

use crate::agent_pod::AgentPod;
use crate::cluster::Cluster;
use crate::counter::Counter;
use crate::eventually::{SOON, eventually};
use crate::nodes::NODES;
use crate::object::Object;
use crate::release::Release;

/// What the stock agent calls them.
pub(crate) const KIND: &str = "counter";

/// Where agents listen.
const PORT: u16 = 3738;

/// Counters that are claimed in a namespace of the test's own.
pub struct Counters<'a> {
    cluster: &'a Cluster,
    release: &'a Release,
    kind: String,
    namespace: String,
    claims: Vec<Counter>,
}

/// One of them, as its claim, the network server, its agent and itself agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The claim's name and the container's uuid.
    pub name: String,
    /// What it has counted up to: 0 in each new life.
    pub value: u64,
    /// Which life of the uuid it is: `TERM.N`.
    pub epoch: String,
    /// How often it was placed again.
    pub failovers: i64,
    /// Its agent.
    pub agent: String,
    /// The agent's node.
    pub node: String,
    /// The claim's version: another one after each write.
    pub version: String,
}

impl<'a> Counters<'a> {
    /// Claims some, waits until each is Ready, and counts the first up to 1, the second to 2, and
    /// so on.
    ///
    /// # Errors
    /// When one is not Ready soon.
    pub async fn claim(cluster: &'a Cluster, release: &'a Release, count: usize) -> Result<Self> {
        let mut counters = Self {
            kind: cluster.kind(KIND, json!({})).await?,
            namespace: cluster.namespace("counters").await?,
            claims: Vec::new(),
            cluster,
            release,
        };
        for _ in 0..count {
            counters.claim_another().await?;
        }
        Ok(counters)
    }

    /// The same, and how they stand then, with an agent on each of [`NODES`].
    ///
    /// # Errors
    /// As [`Counters::claim`], or when they do not agree soon.
    pub async fn agreed(
        cluster: &'a Cluster,
        release: &'a Release,
        count: usize,
    ) -> Result<(Self, Vec<Counted>)> {
        let counters = Self::claim(cluster, release, count).await?;
        let before = counters.agree(&NODES, SOON).await?;
        Ok((counters, before))
    }

    /// Claims one more, and says which agent it is on.
    ///
    /// # Errors
    /// When it is not Ready soon.
    pub async fn claim_another(&mut self) -> Result<&str> {
        let value = u64::try_from(self.claims.len() + 1)?;
        let name = format!("{}-{value}", self.namespace);
        let (cluster, live) = (self.cluster, &self.release.live);
        let counter =
            Counter::claimed(cluster, live, &self.namespace, &self.kind, &name, value).await?;
        self.claims.push(counter);
        let made = self.claims.last().context("it was pushed")?;
        Ok(made.agent())
    }

    /// Waits until there is one agent on each of these nodes and no other, and all that is said of
    /// the counters agrees: every claim is Ready and names an agent, Pod, node, address and epoch
    /// that are so, and no agent has a counter that the network does not know of there. (A server that
    /// has started spares for a minute what earlier tests released.)
    ///
    /// # Errors
    /// When that is not so by the deadline.
    pub async fn agree(&self, nodes: &[&str], deadline: Duration) -> Result<Vec<Counted>> {
        let what = "every claim is true, and each counter is there once";
        eventually(deadline, what, async || self.look(nodes).await).await
    }

    async fn look(&self, nodes: &[&str]) -> Result<Vec<Counted>> {
        let agents = AgentPod::on(self.release, nodes).await?;
        let claims = self.cluster.claims(&self.namespace);
        let claims = claims.list(&ListParams::default()).await?.items;
        ensure!(claims.len() == self.claims.len(), "{} claims", claims.len());
        let mut all = Vec::new();
        for claim in claims {
            all.push(self.counted(&claim, &agents).await?);
        }
        let known = self.release.live.client().containers(None).await?;
        for agent in &agents {
            let known = known
                .iter()
                .filter(|container| container.kind == KIND && container.agent_id == agent.id)
                .count();
            let metrics = agent.pod.metrics().await?;
            let has = metrics.sum("huly_agent_containers", &[("kind", KIND)])?;
            ensure!(
                has.to_string() == known.to_string(),
                "{} has {has} counters, {known} are known there",
                agent.pod.name
            );
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    async fn counted(&self, claim: &DynamicObject, agents: &[AgentPod]) -> Result<Counted> {
        let (name, live) = (claim.name(), &self.release.live);
        ensure!(claim.is("Ready"), "{name} is not Ready: {}", claim.shown());
        let agent = agents
            .iter()
            .find(|agent| agent.id == claim.text("/status/agent"))
            .with_context(|| format!("{name} is on none of {agents:?}: {}", claim.shown()))?;
        let container = live.container(name).await?;
        let container = container.with_context(|| format!("{name} does not live"))?;
        ensure!(container.agent_id == agent.id, "{name} is on {container:?}");
        let epoch = live.epoch_text(name).await?;
        let pod = &agent.pod;
        for (member, expected) in [
            ("nodeName", pod.node.clone()),
            (
                "podName",
                format!("{}/{}", self.release.namespace, pod.name),
            ),
            ("endpoint", format!("{}:{PORT}", pod.ip)),
            ("epoch", epoch.clone()),
        ] {
            let said = claim.text(&format!("/status/{member}"));
            ensure!(
                said == expected,
                "{name}: {member} is {said}, not {expected}"
            );
        }
        Ok(Counted {
            name: name.to_owned(),
            value: live.value(name).await?,
            epoch,
            failovers: claim.number("/status/failovers"),
            agent: agent.id.clone(),
            node: pod.node.clone(),
            version: claim.version().to_owned(),
        })
    }

    /// The namespace of the claims.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Waits until each of `lost` is Bound in a next life, and says when the last of them was.
    ///
    /// # Errors
    /// When one is not by the deadline.
    pub async fn until_bound_again(
        &self,
        lost: &[&Counted],
        deadline: Duration,
    ) -> Result<Instant> {
        let end = Instant::now() + deadline;
        let mut last = None;
        for was in lost {
            let again = |claim: &DynamicObject| {
                claim.is("Ready") && claim.number("/status/failovers") > was.failovers
            };
            let left = end.saturating_duration_since(Instant::now());
            let counter = self.claims.iter().find(|one| one.name == was.name);
            let counter = counter.with_context(|| format!("{} is not claimed", was.name))?;
            let (_, at) = counter.claim.until(left, "is Bound again", again).await?;
            last = last.max(Some(at));
        }
        last.context("nothing was lost")
    }

    /// Expects no version of a claim to have said that it was not bound, from its first Bound on.
    ///
    /// # Errors
    /// When one did.
    pub fn stayed_bound(&self) -> Result<()> {
        self.claims.iter().try_for_each(Counter::stayed_bound)
    }

    /// Expects an agent that has come to get what is new, and nothing of what was there before.
    ///
    /// # Errors
    /// When it gets nothing, or something of before has changed.
    pub async fn nothing_moves_to(&mut self, agent: &AgentPod, before: &[Counted]) -> Result<()> {
        // Agents have their turn one after the other. What would have moved when the agent came
        // has, once a new one was placed on it.
        for _ in NODES {
            if self.claim_another().await? == agent.id {
                let now = self.agree(&NODES, SOON).await?;
                for was in before {
                    ensure!(now.contains(was), "{was:?} has changed: {now:?}");
                }
                return Ok(());
            }
        }
        bail!("{agent:?} gets nothing that is new")
    }
}

impl Counted {
    /// Expects those that were lost to live anew on another agent, and of the others nothing to
    /// have changed, not even the claim.
    ///
    /// # Errors
    /// When that is not so.
    pub fn only_these_moved(before: &[Self], after: &[Self], lost: &[&Self]) -> Result<()> {
        ensure!(before.len() == after.len(), "{after:?}");
        for (was, now) in before.iter().zip(after) {
            if lost.contains(&was) {
                now.is_a_life_after(was)?;
            } else {
                ensure!(now == was, "{now:?} was {was:?}");
            }
        }
        Ok(())
    }

    /// Expects it to be in a life after `was`, begun anew on another agent.
    ///
    /// # Errors
    /// When it is not.
    pub fn is_a_life_after(&self, was: &Self) -> Result<()> {
        let next = self.name == was.name
            && self.epoch != was.epoch
            && self.failovers > was.failovers
            && self.agent != was.agent
            && self.value == 0;
        ensure!(next, "{self:?} is not a life after {was:?}");
        Ok(())
    }
}

//! An agent in its Pod.

use anyhow::{Context, Result, bail, ensure};

use crate::counters::Counted;
use crate::nodes::NODES;
use crate::pod_process::kill_in_pod;
use crate::release::{Component, Release, ReleasePod};

/// An agent of a release, as Kubernetes and the network server agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPod {
    /// The agent's id: another one in each process.
    pub id: String,
    /// Its Pod.
    pub pod: ReleasePod,
}

impl AgentPod {
    /// The agents on these nodes, in their order: one on each, ready and live, and the network
    /// server knows no other.
    ///
    /// # Errors
    /// When that is not so now.
    pub async fn on(release: &Release, nodes: &[&str]) -> Result<Vec<Self>> {
        let pods = release.pods(Component::Agent).await?;
        let known = release.live.agents().await?;
        ensure!(known.len() == nodes.len(), "the server knows {known:?}");
        let mut agents = Vec::new();
        for node in nodes {
            let mut here = pods.iter().filter(|pod| pod.node == *node);
            let (Some(pod), None) = (here.next(), here.next()) else {
                bail!("not one agent's Pod is on {node}: {pods:?}");
            };
            ensure!(pod.ready, "{} is not ready", pod.name);
            let here = known.iter().find_map(|agent| {
                let more = agent.huly.as_ref()?;
                (more.pod.as_ref()?.uid == pod.uid).then_some((agent, more))
            });
            let (agent, more) = here.with_context(|| format!("{pod:?} is of none of {known:?}"))?;
            ensure!(more.state == "Live", "{agent:?}");
            ensure!(more.node.as_deref() == Some(node), "{agent:?}");
            agents.push(Self {
                id: agent.agent_id.clone(),
                pod: pod.clone(),
            });
        }
        Ok(agents)
    }

    /// The one on a node, while there is one on each of [`NODES`].
    ///
    /// # Errors
    /// As [`AgentPod::on`].
    pub async fn on_node(release: &Release, node: &str) -> Result<Self> {
        let mut agents = Self::on(release, &NODES).await?.into_iter();
        let found = agents.find(|agent| agent.pod.node == node);
        found.with_context(|| format!("there is no agent on {node}"))
    }

    /// One on a node with neither the network server nor the operator on it.
    ///
    /// # Errors
    /// As [`AgentPod::on`].
    pub async fn alone(release: &Release) -> Result<Self> {
        let (server, operator) = (release.server().await?, release.operator().await?);
        let mut agents = Self::on(release, &NODES).await?.into_iter();
        let alone = agents.find(|agent| ![&server.node, &operator.node].contains(&&agent.pod.node));
        alone.context("there are three nodes")
    }

    /// Those of the counters that are on it.
    ///
    /// # Errors
    /// When there is none.
    pub fn those_on_it<'a>(&self, counters: &'a [Counted]) -> Result<Vec<&'a Counted>> {
        let here = counters.iter().filter(|one| one.agent == self.id);
        let here: Vec<&Counted> = here.collect();
        ensure!(!here.is_empty(), "nothing is on {self:?}: {counters:?}");
        Ok(here)
    }

    /// Kills the agent inside its Pod (SIGKILL).
    ///
    /// # Errors
    /// As [`kill_in_pod`].
    pub fn kill(&self) -> Result<()> {
        kill_in_pod(&self.pod.uid, "huly-agent")
    }
}

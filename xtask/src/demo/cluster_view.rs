//! The cluster as the story sees it: through kubectl.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{self, Program};

/// The namespace of the manifests' claims.
const NAMESPACE: &str = "demo";

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often kubectl is asked about what it cannot wait for by itself.
const ASK: Duration = Duration::from_millis(200);

/// kubectl, knowing its cluster.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    kubectl: Program,
}

/// What the story reads of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ClaimStatus {
    pub(super) uuid: String,
    pub(super) agent: String,
    #[serde(default)]
    pub(super) failovers: u64,
}

#[derive(Deserialize)]
struct Claim {
    status: ClaimStatus,
}

impl Cluster {
    pub(super) fn new(kubectl: Program) -> Self {
        Self { kubectl }
    }

    /// Applies the manifests of a folder.
    pub(super) async fn apply(&self, folder: &Path) -> Result<String> {
        self.run(&["apply", "--filename", &folder.display().to_string()])
            .await
    }

    /// All kinds and claims, as people look at them.
    pub(super) async fn kinds_and_claims(&self) -> Result<String> {
        self.run(&["get", "containerkinds,containerclaims", "--all-namespaces"])
            .await
    }

    /// All claims, as people look at them.
    pub(super) async fn claims(&self) -> Result<String> {
        self.run(&["get", "containerclaims", "--namespace", NAMESPACE])
            .await
    }

    /// Waits until every claim is Ready.
    pub(super) async fn await_all_ready(&self) -> Result<()> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let condition = "--for=condition=Ready";
        let wait = [
            "wait",
            condition,
            &timeout,
            "containerclaims",
            "--all",
            "--namespace",
            NAMESPACE,
        ];
        self.run(&wait).await.map(|_| ())
    }

    /// Waits until every kind counts one reference: each has one claim.
    pub(super) async fn await_all_counted(&self) -> Result<()> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let one = "--for=jsonpath={.status.references}=1";
        let wait = ["wait", one, &timeout, "containerkinds", "--all"];
        self.run(&wait).await.map(|_| ())
    }

    /// What a claim's status says.
    pub(super) async fn claim(&self, name: &str) -> Result<ClaimStatus> {
        let get = [
            "get",
            "containerclaim",
            name,
            "--namespace",
            NAMESPACE,
            "--output",
            "json",
        ];
        let said = self.run(&get).await?;
        let claim: Claim = serde_json::from_str(&said)
            .with_context(|| format!("the claim {name} has no status yet"))?;
        Ok(claim.status)
    }

    /// Waits until a claim is Ready on another agent than before.
    pub(super) async fn await_failover(&self, name: &str, from: &str) -> Result<ClaimStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.claim(name).await?;
            if now.agent != from && now.failovers > 0 {
                self.await_all_ready().await?;
                return Ok(now);
            }
            if Instant::now() >= deadline {
                bail!(
                    "the claim {name} still lives on {} after {PATIENCE:?}",
                    now.agent
                );
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Waits until a claim has an Event with this reason, and returns its Events.
    pub(super) async fn await_event(&self, name: &str, reason: &str) -> Result<String> {
        let target = format!("containerclaim/{name}");
        let events = ["events", "--for", &target, "--namespace", NAMESPACE];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.run(&events).await?;
            if said
                .lines()
                .any(|line| line.split_whitespace().any(|word| word == reason))
            {
                return Ok(said);
            }
            if Instant::now() >= deadline {
                bail!("the claim {name} has no Event {reason} after {PATIENCE:?}");
            }
            tokio::time::sleep(ASK).await;
        }
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        command::capture(self.kubectl.clone().arguments(arguments)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_from_what_kubectl_prints() {
        let printed = r#"{"kind": "ContainerClaim", "spec": {},
            "status": {"uuid": "counter-1", "agent": "agent-a", "endpoint": "h:1"}}"#;
        let claim: Claim = serde_json::from_str(printed).unwrap();
        let expected = ClaimStatus {
            uuid: "counter-1".into(),
            agent: "agent-a".into(),
            failovers: 0,
        };
        assert_eq!(claim.status, expected);
    }
}

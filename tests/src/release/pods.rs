//! The Pods of a release.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::http;
use crate::metrics::Metrics;

/// What a Pod is for: its label `app.kubernetes.io/component`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The network server.
    Server,
    /// The operator.
    Operator,
    /// An agent.
    Agent,
}

impl Component {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Operator => "operator",
            Self::Agent => "agent",
        }
    }
}

/// What a test compares of a Pod. Two are equal if nothing of it was started again between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node that it is on; empty before it is on one.
    pub node: String,
    /// Its address; empty before it has one.
    pub ip: String,
    /// Where its health and metrics are, `host:port`.
    pub http: String,
    /// How often its program was started again.
    pub restarts: i32,
    /// The running container (OCI).
    pub running: String,
    /// Whether Kubernetes finds it ready, and nobody has deleted it.
    pub ready: bool,
}

impl ReleasePod {
    pub(super) fn of(pod: Pod) -> Result<Self> {
        let metadata = pod.metadata;
        let name = metadata.name.context("a Pod without a name")?;
        let spec = pod.spec.with_context(|| format!("{name} has no spec"))?;
        let ports = spec.containers.iter().flat_map(|one| one.ports.iter());
        let port = ports
            .flatten()
            .find(|port| port.name.as_deref() == Some("http"))
            .map(|port| port.container_port)
            .with_context(|| format!("{name} has no port http"))?;
        let status = pod.status.unwrap_or_default();
        let container: Option<ContainerStatus> =
            status.container_statuses.and_then(|mut all| all.pop());
        // The Pod's own condition, not the container's: of a lost node's Pod it alone changes.
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let ip = status.pod_ip.unwrap_or_default();
        Ok(Self {
            uid: metadata.uid.unwrap_or_default(),
            node: spec.node_name.unwrap_or_default(),
            http: format!("{ip}:{port}"),
            ip,
            restarts: container.as_ref().map_or(0, |one| one.restart_count),
            running: container
                .and_then(|one| one.container_id)
                .unwrap_or_default(),
            ready: ready && metadata.deletion_timestamp.is_none(),
            name,
        })
    }

    /// Its program's metrics now.
    ///
    /// # Errors
    /// When it does not answer with metrics within 2 s.
    pub async fn metrics(&self) -> Result<Metrics> {
        let (status, body) = http::get(&self.http, "/metrics").await?;
        ensure!(status == 200, "{}: /metrics answers {status}", self.name);
        Metrics::parse(&body)
    }

    pub(super) fn ensure_ready(&self) -> Result<()> {
        ensure!(self.ready, "{} on {} is not ready", self.name, self.node);
        Ok(())
    }
}

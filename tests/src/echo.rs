//! A program on every node that answers with its Pod's name, and asks others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, Service};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::tools::kubectl;

/// The image that `cargo xtask test nodes` brings onto every node.
const IMAGE: &str = "localhost/huly-network/echo:1";

const PORT: u16 = 8080;

/// How long Pods may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One Pod per node, and a Service named `echo` for them.
pub struct Echo {
    /// Where they are.
    pub namespace: String,
    pods: Api<Pod>,
    nodes: usize,
}

/// What a test compares of one of the Pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoPod {
    /// Its name, which it answers with.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node that it is on.
    pub node: String,
    /// Where it answers: `http://IP:PORT/`.
    pub url: String,
    /// How often its program was started again.
    pub restarts: i32,
    /// The running container (OCI).
    pub running: String,
}

impl Echo {
    /// Starts them on this many nodes, in a namespace of the test's own, and waits until all
    /// answer.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(cluster: &Cluster, nodes: usize) -> Result<Self> {
        let namespace = cluster.namespace("echo").await?;
        let labels = json!({ "app": "echo" });
        let daemon_set: DaemonSet = serde_json::from_value(json!({
            "metadata": { "name": "echo" },
            "spec": {
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{
                            "name": "echo",
                            "image": IMAGE,
                            "imagePullPolicy": "IfNotPresent",
                            "args": ["serve", format!(":{PORT}")],
                            "readinessProbe": {
                                "httpGet": { "path": "/", "port": PORT },
                                "periodSeconds": 1,
                            },
                            "resources": { "limits": { "memory": "64Mi" } },
                            "securityContext": {
                                "runAsNonRoot": true,
                                "readOnlyRootFilesystem": true,
                                "allowPrivilegeEscalation": false,
                                "capabilities": { "drop": ["ALL"] },
                            },
                        }],
                    },
                },
            },
        }))?;
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "echo" },
            "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": PORT }] },
        }))?;
        let create = PostParams::default();
        Api::namespaced(cluster.client(), &namespace)
            .create(&create, &service)
            .await?;
        Api::namespaced(cluster.client(), &namespace)
            .create(&create, &daemon_set)
            .await?;
        let echo = Self {
            pods: Api::namespaced(cluster.client(), &namespace),
            namespace,
            nodes,
        };
        echo.all().await?;
        Ok(echo)
    }

    /// All of them, once all are ready.
    ///
    /// # Errors
    /// When one is not within a minute.
    pub async fn all(&self) -> Result<Vec<EchoPod>> {
        eventually(PATIENCE, "an echo is ready on every node", async || {
            let pods = self.pods.list(&ListParams::default()).await?.items;
            let ready: Vec<EchoPod> = pods.into_iter().map(EchoPod::of).collect::<Result<_>>()?;
            ensure!(ready.len() == self.nodes, "{} are ready", ready.len());
            Ok(ready)
        })
        .await
    }

    /// The one on a node, once all are ready.
    ///
    /// # Errors
    /// When one is not ready within a minute.
    pub async fn on(&self, node: &str) -> Result<EchoPod> {
        let all = self.all().await?;
        let found = all.into_iter().find(|pod| pod.node == node);
        found.with_context(|| format!("there is no echo on {node}"))
    }

    /// What a Pod is answered at a URL, by `kubectl exec`.
    ///
    /// # Errors
    /// When it is not answered within five seconds.
    pub async fn ask(&self, from: &EchoPod, url: &str) -> Result<String> {
        let exec = ["exec", "--namespace", &self.namespace, &from.name, "--"];
        let said = kubectl(&[exec.as_slice(), &["/echo", "get", url]].concat()).await?;
        Ok(said.trim().to_owned())
    }
}

impl EchoPod {
    /// # Errors
    /// When it is not ready.
    fn of(pod: Pod) -> Result<Self> {
        let name = pod.metadata.name.context("a Pod without a name")?;
        let status = pod.status.unwrap_or_default();
        let container: ContainerStatus = status
            .container_statuses
            .and_then(|mut all| all.pop())
            .with_context(|| format!("{name} is not started"))?;
        ensure!(container.ready, "{name} is not ready: {container:?}");
        let address = status
            .pod_ip
            .with_context(|| format!("{name} has no address"))?;
        Ok(Self {
            uid: pod.metadata.uid.unwrap_or_default(),
            node: pod.spec.and_then(|spec| spec.node_name).unwrap_or_default(),
            url: format!("http://{address}:{PORT}/"),
            restarts: container.restart_count,
            running: container.container_id.unwrap_or_default(),
            name,
        })
    }
}

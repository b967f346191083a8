//! A release of the chart on a cluster with nodes, which the tests share.

mod pods;
mod relay;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use huly_relay::Relay;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

pub use self::pods::{Component, ReleasePod};
use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::helm;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::tools::kubectl;

/// The release's name.
const NAME: &str = "huly";

/// The release that the tests share.
const SHARED: &str = "huly-e2e";

/// What a user of examples/manifests says: the chat rooms there are for agents with a zone. And a
/// secret to pull images with, which is not there, for they are.
const VALUES: &str = "agents[0].name=stock,agents[0].labels.zone=everywhere,\
    images.pullSecrets[0].name=pull";

const DEFINITIONS: [&str; 2] = [
    "containerkinds.network.huly.io",
    "containerclaims.network.huly.io",
];

/// How long Pods may take to come or go on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The chart, installed by helm under the name `huly`.
pub struct Release {
    /// Where it is.
    pub namespace: String,
    /// What lives in its network. Its client carries on through a restart of the server, as one in
    /// a Pod does by the Service's name.
    pub live: Live,
    client: Client,
    relay: Relay,
}

impl Release {
    /// The release that the tests share, with the values that they share: installed if it is not
    /// there, put right if a test has left it otherwise, and ready.
    ///
    /// # Errors
    /// When helm fails, or it is not ready in time.
    pub async fn shared(cluster: &Cluster) -> Result<Self> {
        Self::installed(cluster, SHARED, &["--set", VALUES]).await
    }

    /// Installs the chart with these arguments in a namespace that enforces the Pod Security
    /// Standard `restricted`, and waits until all of it is ready.
    ///
    /// # Errors
    /// When helm fails, or it is not ready in time.
    pub async fn installed(cluster: &Cluster, namespace: &str, arguments: &[&str]) -> Result<Self> {
        restricted(cluster, namespace).await?;
        if matches!(status(namespace).await?.as_deref(), Some(status) if status != "deployed") {
            // A test was ended in the midst of it: helm goes on from there only by force.
            uninstall(namespace).await?;
        }
        let chart = helm::chart();
        let install = ["upgrade", "--install", NAME, &chart];
        let place = ["--namespace", namespace, "--reset-values", "--wait"];
        let limits = ["--timeout", "2m", "--history-max", "3"];
        helm::helm(&[&install[..], &place, &limits, arguments].concat()).await?;
        Self::ready(cluster, namespace).await
    }

    /// A release that is installed, once all of it is ready.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn ready(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let client = cluster.client();
        let service = service(&client, namespace).await?;
        let relay = relay::to_service(client.clone(), namespace, &service, "huly").await?;
        let live = Live::connect(relay.address()).await?;
        let release = Self {
            namespace: namespace.to_owned(),
            live,
            client,
            relay,
        };
        release.until_ready().await?;
        Ok(release)
    }

    /// Takes away the release that the tests share, and the definitions with all kinds and claims.
    ///
    /// # Errors
    /// When something does not go.
    pub async fn nothing(cluster: &Cluster) -> Result<()> {
        uninstall(SHARED).await?;
        let client = cluster.client();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let delete = DeleteParams::default();
        gone_is_fine(namespaces.delete(SHARED, &delete).await)?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client);
        for name in DEFINITIONS {
            gone_is_fine(definitions.delete(name, &delete).await)?;
        }
        eventually(PATIENCE, "nothing of the release is left", async || {
            for name in DEFINITIONS {
                let found = definitions.get_opt(name).await?;
                ensure!(found.is_none(), "{name} is there");
            }
            let found = namespaces.get_opt(SHARED).await?;
            ensure!(found.is_none(), "the namespace {SHARED} is there");
            Ok(())
        })
        .await
    }

    /// Where a process of this machine reaches the network server, `host:port`: connections go to
    /// the ready Pod of its Service, as a node's do.
    pub fn address(&self) -> &str {
        self.relay.address()
    }

    /// The network server's Pod, once there is exactly one and it is ready.
    ///
    /// # Errors
    /// When there is not, in time.
    pub async fn server(&self) -> Result<ReleasePod> {
        self.only(Component::Server).await
    }

    /// The Pod of the operator that leads, once there are as many as there should be and all are ready.
    ///
    /// # Errors
    /// When there are not, in time.
    pub async fn operator(&self) -> Result<ReleasePod> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        eventually(PATIENCE, "one operator leads", async || {
            let selector = ListParams::default().labels(&selector(Component::Operator));
            let deployments = deployments.list(&selector).await?.items.into_iter();
            let replicas = deployments.filter_map(|it| it.spec?.replicas);
            let expected = usize::try_from(replicas.sum::<i32>())?;
            let pods = self.pods(Component::Operator).await?;
            ensure!(pods.len() == expected, "there are {}: {pods:?}", pods.len());
            let mut leaders = Vec::new();
            for pod in pods {
                pod.ensure_ready()?;
                if pod.metrics().await?.sum("huly_operator_leader", &[])? == 1.0 {
                    leaders.push(pod);
                }
            }
            ensure!(leaders.len() == 1, "{leaders:?} lead");
            leaders.pop().context("there is none")
        })
        .await
    }

    /// The agents' Pods, once there is one on each node and all are ready.
    ///
    /// # Errors
    /// When there is not, in time.
    pub async fn agents(&self) -> Result<Vec<ReleasePod>> {
        eventually(PATIENCE, "an agent is ready on every node", async || {
            let agents = self.pods(Component::Agent).await?;
            for agent in &agents {
                agent.ensure_ready()?;
            }
            let mut nodes: Vec<&str> = agents.iter().map(|pod| pod.node.as_str()).collect();
            nodes.sort_unstable();
            let all = self.nodes().await?;
            ensure!(nodes == all, "there are agents on {nodes:?}");
            Ok(agents)
        })
        .await
    }

    /// The agent's Pod on a node, once all agents are ready.
    ///
    /// # Errors
    /// When there is none.
    pub async fn agent_on(&self, node: &str) -> Result<ReleasePod> {
        let mut agents = self.agents().await?.into_iter();
        let agent = agents.find(|pod| pod.node == node);
        agent.with_context(|| format!("there is no agent on {node}"))
    }

    /// All Pods of a component now, ready or not, those that are about to go among them.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn pods(&self, component: Component) -> Result<Vec<ReleasePod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let selector = ListParams::default().labels(&selector(component));
        let found = pods.list(&selector).await?;
        found.items.into_iter().map(ReleasePod::of).collect()
    }

    /// How many containers of a kind (as the wire calls it) the agents have that can be asked,
    /// starting and ending ones among them: more than the network knows, if something runs twice.
    ///
    /// # Errors
    /// When an agent does not say.
    pub async fn copies(&self, kind: &str) -> Result<u64> {
        let agents = self.agents().await?;
        let metrics = try_join_all(agents.iter().map(ReleasePod::metrics)).await?;
        let copies = |metrics: &Metrics| metrics.sum("huly_agent_containers", &[("kind", kind)]);
        let copies = metrics.iter().map(copies).collect::<Result<Vec<f64>>>()?;
        // Counts are far below where floats skip whole numbers.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(copies.iter().sum::<f64>() as u64)
    }

    /// Waits until every Pod is ready, the network knows exactly the agents in them, and no longer
    /// expects others to come back.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn until_ready(&self) -> Result<()> {
        eventually(PATIENCE, "the release is ready", async || {
            let agents = self.agents().await?;
            let (server, _) = (self.server().await?, self.operator().await?);
            let mut expected: Vec<&str> = agents.iter().map(|pod| pod.uid.as_str()).collect();
            expected.sort_unstable();
            let known = self.live.agents().await?;
            let mut known: Vec<&str> = known
                .iter()
                .filter_map(|agent| Some(agent.huly.as_ref()?.pod.as_ref()?.uid.as_str()))
                .collect();
            known.sort_unstable();
            ensure!(known == expected, "the agents {known:?} are known");
            let settling = server.metrics().await?.sum("huly_network_settling", &[])?;
            ensure!(settling == 0.0, "the server is settling");
            Ok(())
        })
        .await
    }

    /// Has helm run the chart's test, and says what it and helm print.
    ///
    /// # Errors
    /// When it fails.
    pub async fn helm_test(&self) -> Result<String> {
        let place = ["--namespace", &self.namespace, "--timeout", "2m"];
        let said = helm::helm(&[&["test", NAME], &place[..]].concat()).await?;
        Ok(said.stdout + &said.stderr)
    }

    /// What helm said to the person who installed it.
    ///
    /// # Errors
    /// When helm does not know it.
    pub async fn notes(&self) -> Result<String> {
        let notes = ["get", "notes", NAME, "--namespace", &self.namespace];
        Ok(helm::helm(&notes).await?.stdout)
    }

    /// Restarts all agents, one after the other.
    ///
    /// # Errors
    /// When the API server refuses, or one is not replaced in time.
    pub async fn restart_agents(&self) -> Result<()> {
        let place = ["--namespace", &self.namespace];
        let agents = ["--selector", "app.kubernetes.io/component=agent"];
        let restart = ["rollout", "restart", "daemonset"];
        kubectl(&[&restart[..], &agents, &place].concat()).await?;
        let status = ["rollout", "status", "daemonset", "--timeout=120s"];
        kubectl(&[&status[..], &agents, &place].concat()).await?;
        Ok(())
    }

    async fn only(&self, component: Component) -> Result<ReleasePod> {
        let what = format!("one {} is ready", component.name());
        eventually(PATIENCE, &what, async || {
            let mut pods = self.pods(component).await?;
            ensure!(pods.len() == 1, "there are {}: {pods:?}", pods.len());
            let pod = pods.pop().context("there is none")?;
            pod.ensure_ready()?;
            Ok(pod)
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<String>> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = nodes.list(&ListParams::default()).await?.items;
        let mut names: Vec<String> = nodes
            .into_iter()
            .filter_map(|node| node.metadata.name)
            .collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// What helm says of the release in a namespace, if there is one: `deployed`, `failed`, ….
async fn status(namespace: &str) -> Result<Option<String>> {
    let said =
        helm::helm_says(&["status", NAME, "--namespace", namespace, "--output=json"]).await?;
    if !said.success {
        ensure!(said.stderr.contains("not found"), "helm status: {said:?}");
        return Ok(None);
    }
    let status: Value = serde_json::from_str(&said.stdout).context("helm status prints JSON")?;
    Ok(status["info"]["status"].as_str().map(str::to_owned))
}

async fn uninstall(namespace: &str) -> Result<()> {
    let place = ["--namespace", namespace, "--ignore-not-found"];
    let wait = ["--wait", "--timeout", "2m"];
    helm::helm(&[&["uninstall", NAME], &place[..], &wait].concat()).await?;
    Ok(())
}

/// Makes a namespace that takes only Pods of the standard `restricted`, if it is not there.
async fn restricted(cluster: &Cluster, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": labels },
    });
    let apply = PatchParams::apply("huly-tests");
    namespaces
        .patch(name, &apply, &Patch::Apply(&namespace))
        .await?;
    Ok(())
}

/// The name of the network server's Service.
async fn service(client: &Client, namespace: &str) -> Result<String> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let selector = format!("app.kubernetes.io/instance={NAME}");
    let found = services
        .list(&ListParams::default().labels(&selector))
        .await?;
    let mut names = found.items.into_iter().filter_map(|one| one.metadata.name);
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => bail!("there is no Service of {NAME} in {namespace}"),
        (Some(_), Some(_)) => bail!("there are several Services of {NAME} in {namespace}"),
    }
}

/// What a component's objects are selected by.
fn selector(component: Component) -> String {
    let component = component.name();
    format!("app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}")
}

fn gone_is_fine<T>(outcome: kube::Result<T>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

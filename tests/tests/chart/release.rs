//! The life of a release, from a cluster that knows nothing of the network.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cluster, and_undo, chart, commands_in, eventually, helm, helm_refuses, kubectl, on_cluster,
    shell,
};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::super::{API_SERVER, restricted};
use super::definitions::{
    DEFINITIONS, delete_definitions, restore_definitions, until_definitions_serve,
};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Every type that the chart makes something of.
const NAMESPACED: &str = "deployments,daemonsets,replicasets,pods,services,serviceaccounts,secrets,\
    roles,rolebindings,networkpolicies,poddisruptionbudgets";

/// It takes the definitions away from the API server: other programs' tests run before or after.
#[tokio::test]
async fn from_nothing_to_a_reinstall() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    on_cluster(async |cluster| and_undo(story(cluster), restore_definitions()).await).await
}

async fn story(cluster: &Cluster) -> Result<()> {
    delete_definitions().await?;
    let namespace = restricted(cluster, "first").await?;
    let release = Release::new("huly", &namespace);

    let pull = ["--set", "images.pullSecrets[0].name=pull"];
    let said = release.install(&pull).await?;
    ensure!(!said.contains("violate"), "{said}");
    let commands = commands_in(&said);
    until_definitions_serve().await?;
    pods_are_made(cluster, &namespace).await?;
    ensure!(commands.len() == 3, "the notes have {commands:#?}");
    the_noted_pod_is_let_in(&commands[2]).await?;
    roles_are_bound(cluster, &namespace).await?;
    claims_are_for_editors(cluster).await?;

    let secret = control_secret(cluster, &namespace).await?;
    ensure!(secret.len() == 48, "{} characters", secret.len());
    release.upgrade(&["--set", "log.filter=debug"]).await?;
    ensure!(secret == control_secret(cluster, &namespace).await?);
    helm(&["rollback", "huly", "1", "--namespace", &namespace]).await?;
    ensure!(secret == control_secret(cluster, &namespace).await?);

    let kind = cluster.kind("echo", json!({})).await?;
    cluster
        .create_claim(&namespace, "mine", json!({ "containerKindName": kind }))
        .await?;

    second_release(cluster).await?;

    release.uninstall().await?;
    nothing_is_left(&namespace).await?;
    // Kinds and claims with their definitions are.
    cluster.kinds().get(&kind).await?;
    cluster.claims(&namespace).get("mine").await?;

    release.install(&[]).await?;
    let other = control_secret(cluster, &namespace).await?;
    ensure!(secret != other, "a new release has a secret of its own");
    release.uninstall().await?;

    // Of another name, it has to be told to take over what the first left.
    let renamed = Release::new("renamed", &namespace);
    let refused = helm_refuses(&renamed.arguments("install", &[])).await?;
    ensure!(refused.contains("invalid ownership metadata"), "{refused}");
    // Told so, it leaves nothing at all.
    let forget = ["--take-ownership", "--set", "crds.keep=false"];
    renamed.install(&forget).await?;
    kubectl(&["get", "crd", DEFINITIONS[0], DEFINITIONS[1]]).await?;
    renamed.uninstall().await?;
    nothing_is_left(&namespace).await?;
    let what = "the definitions go with the release";
    eventually(SOON, what, no_definitions_are_left).await
}

async fn no_definitions_are_left() -> Result<()> {
    let get = ["get", "crd", "--ignore-not-found", "--output=name"];
    let left = kubectl(&[&get[..], &DEFINITIONS].concat()).await?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

/// Another network in another namespace leaves the definitions to the first.
async fn second_release(cluster: &Cluster) -> Result<()> {
    let namespace = cluster.namespace("second").await?;
    let second = Release::new("huly", &namespace);
    let refused = helm_refuses(&second.arguments("install", &[])).await?;
    ensure!(refused.contains(DEFINITIONS[0]) || refused.contains(DEFINITIONS[1]));
    let values = ["--set", "crds.install=false,networkName=second"];
    second.install(&values).await?;
    pods_are_made(cluster, &namespace).await?;
    second.uninstall().await?;
    nothing_is_left(&namespace).await?;
    kubectl(&["get", "crd", DEFINITIONS[0], DEFINITIONS[1]]).await?;
    Ok(())
}

pub(crate) struct Release<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    /// What is installed or upgraded to.
    pub(crate) chart: String,
}

impl<'r> Release<'r> {
    pub(crate) fn new(name: &'r str, namespace: &'r str) -> Self {
        Self {
            name,
            namespace,
            chart: chart(),
        }
    }

    fn arguments<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let base = [
            command,
            self.name,
            &self.chart,
            "--namespace",
            self.namespace,
        ];
        [&base[..], more].concat()
    }

    /// What is said, warnings too.
    pub(crate) async fn install(&self, more: &[&str]) -> Result<String> {
        let said = helm(&self.arguments("install", more)).await?;
        Ok(said.stdout + &said.stderr)
    }

    pub(crate) async fn upgrade(&self, more: &[&str]) -> Result<()> {
        helm(&self.arguments("upgrade", more)).await.map(drop)
    }

    pub(crate) async fn uninstall(&self) -> Result<()> {
        let said = helm(&["uninstall", self.name, "--namespace", self.namespace]).await?;
        ensure!(said.stdout.contains("uninstalled"), "{said:?}");
        Ok(())
    }
}

/// The controllers make Pods of server and operator: nothing about them is refused.
async fn pods_are_made(cluster: &Cluster, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    eventually(SOON, "server and operator have a Pod", async || {
        for component in ["server", "operator"] {
            let selector = format!("app.kubernetes.io/component={component}");
            let found = pods.list(&ListParams::default().labels(&selector)).await?;
            ensure!(
                found.items.len() == 1,
                "{component}: {} Pods",
                found.items.len()
            );
        }
        Ok(())
    })
    .await
}

/// The Pod that the notes have made is one of the restricted standard, and pulls as the others do.
async fn the_noted_pod_is_let_in(command: &str) -> Result<()> {
    let (make, _) = command.split_once("&&").context("one command alone")?;
    let dry = " run huly --dry-run=server --output=json ";
    let said = shell(&make.replace(" run huly ", dry), &[]).await?;
    ensure!(said.success, "{make}: {}", said.stdout);
    let pod: Value = serde_json::from_str(&said.stdout).context(said.stdout)?;
    let secrets = &pod["spec"]["imagePullSecrets"];
    ensure!(*secrets == json!([{ "name": "pull" }]), "{pod:#}");
    Ok(())
}

/// The operator may do what is its own, and nothing else.
async fn roles_are_bound(cluster: &Cluster, namespace: &str) -> Result<()> {
    let operator = format!("system:serviceaccount:{namespace}:huly-huly-network-operator");
    for (verb, resource, expected) in [
        ("patch", "containerclaims/status", true),
        ("watch", "containerkinds", true),
        ("create", "events.k8s.io:events", true),
        ("list", ":namespaces", true),
        ("delete", "containerclaims", false),
        ("get", ":secrets", false),
        ("list", ":pods", false),
    ] {
        let may = may(cluster, &operator, None, verb, resource).await?;
        ensure!(may == expected, "{verb} {resource}: {may}");
    }
    for (verb, namespace, expected) in [
        ("create", Some(namespace), true),
        ("patch", Some(namespace), true),
        ("delete", Some(namespace), false),
        ("get", Some("kube-system"), false),
    ] {
        let may = may(
            cluster,
            &operator,
            namespace,
            verb,
            "coordination.k8s.io:leases",
        )
        .await?;
        ensure!(may == expected, "{verb} a Lease in {namespace:?}: {may}");
    }
    Ok(())
}

/// Who may edit a namespace may claim there; kinds are for cluster admins.
async fn claims_are_for_editors(cluster: &Cluster) -> Result<()> {
    let namespace = cluster.namespace("people").await?;
    for (role, writes) in [("view", false), ("edit", true), ("admin", true)] {
        let user = format!("{namespace}-{role}");
        let (bound, whom) = (format!("--clusterrole={role}"), format!("--user={user}"));
        kubectl(&[
            "-n",
            &namespace,
            "create",
            "rolebinding",
            role,
            &bound,
            &whom,
        ])
        .await?;
        eventually(SOON, "the roles are aggregated", async || {
            for (verb, resource, expected) in [
                ("list", "containerclaims", true),
                ("create", "containerclaims", writes),
                ("delete", "containerclaims", writes),
                ("patch", "containerclaims/status", false),
                ("create", "containerkinds", false),
            ] {
                let may = may(cluster, &user, Some(&namespace), verb, resource).await?;
                ensure!(may == expected, "{role}: {verb} {resource}: {may}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Whether a user may do something to `RESOURCE/SUBRESOURCE` of the network's group, or to
/// `GROUP:RESOURCE`; in all namespaces unless one is given.
async fn may(
    cluster: &Cluster,
    user: &str,
    namespace: Option<&str>,
    verb: &str,
    resource: &str,
) -> Result<bool> {
    let (group, resource) = resource
        .split_once(':')
        .unwrap_or(("network.huly.io", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = serde_json::from_value(json!({
        "metadata": {},
        "spec": {
            "user": user,
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": subresource,
            },
        },
    }))?;
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.client());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("a review without an answer")?.allowed)
}

async fn control_secret(cluster: &Cluster, namespace: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let secret = secrets.get("huly-huly-network-control").await?;
    let data = secret.data.context("a Secret without data")?;
    let value = data.get("control-secret").context("no control secret")?;
    Ok(String::from_utf8(value.0.clone())?)
}

pub(crate) async fn nothing_is_left(namespace: &str) -> Result<()> {
    eventually(SOON, "nothing of the release is left", async || {
        let ours = [
            "--selector",
            "app.kubernetes.io/name=huly-network",
            "--output",
            "name",
        ];
        let inside = [&["-n", namespace, "get", NAMESPACED], &ours[..]].concat();
        let left = kubectl(&inside).await?;
        ensure!(left.is_empty(), "{left}");
        let releases = kubectl(&[
            "-n",
            namespace,
            "get",
            "secrets,configmaps",
            "--output",
            "name",
        ])
        .await?;
        ensure!(!releases.contains("helm"), "{releases}");
        let outside = kubectl(&[
            "get",
            "clusterroles,clusterrolebindings",
            "--output",
            "name",
        ])
        .await?;
        ensure!(!outside.contains(namespace), "{outside}");
        Ok(())
    })
    .await
}

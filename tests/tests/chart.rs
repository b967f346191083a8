//! The chart on a real API server: what it renders to, and the life of a release.
//!
//! There are no nodes here: Pods are made, and stay Pending.

mod chart {
    pub(crate) mod definitions;
    pub(crate) mod hook;
    pub(crate) mod otherwise;
    pub(crate) mod release;
    pub(crate) mod schema;
    pub(crate) mod upgrade;
    pub(crate) mod values;
}

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use huly_tests::{Cluster, chart, helm, kubectl_says, on_cluster, rendered};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The tests share an API server, and one of them takes the definitions away from it: each that
/// works with it holds this meanwhile.
static API_SERVER: Mutex<()> = Mutex::const_new(());

/// The golden files.
const ALL: [&str; 5] = ["default", "full", "ha", "least", "second"];

#[tokio::test]
async fn lint_finds_nothing() -> Result<()> {
    let chart = chart();
    for values in [None, Some(format!("{chart}/values-ha.yaml"))] {
        let mut arguments = vec!["lint", "--strict", &chart];
        if let Some(values) = &values {
            arguments.extend(["--values", values]);
        }
        let said = helm(&arguments).await?;
        ensure!(!said.stdout.contains("WARNING"), "{said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_api_server_takes_what_is_rendered() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    on_cluster(async |cluster| {
        let namespace = cluster.namespace("rendered").await?;
        for name in ALL {
            // Definitions are installed by a release, in another test; Pods are looked at below. A
            // PodMonitor is of a type that this cluster has not.
            let elsewhere = ["CustomResourceDefinition", "Pod", "PodMonitor"];
            let taken = rendered(name)?
                .into_iter()
                .filter(|object| !elsewhere.contains(&kind(object)));
            let list =
                json!({"apiVersion": "v1", "kind": "List", "items": taken.collect::<Vec<_>>()});
            let said = dry_run(&namespace, &list).await?;
            ensure!(said.success && said.stderr.is_empty(), "{name}: {said:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pods_pass_the_restricted_standard() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    on_cluster(async |cluster| {
        let namespace = restricted(cluster, "pods").await?;
        for name in ALL {
            let pods = pods(name)?;
            ensure!(pods.len() >= 3, "{name} has {} Pods", pods.len());
            for mut pod in pods {
                let said = dry_run(&namespace, &pod).await?;
                ensure!(said.success && said.stderr.is_empty(), "{name}: {said:?}");

                // The test can fail: without what the chart says, they are refused.
                for container in pod["spec"]["containers"].as_array_mut().context("a Pod")? {
                    container["securityContext"] = json!({});
                }
                let said = dry_run(&namespace, &pod).await?;
                ensure!(
                    !said.success && said.stderr.contains("violates PodSecurity"),
                    "{name}: {said:?}"
                );
            }
        }
        Ok(())
    })
    .await
}

#[test]
fn only_operator_and_check_have_tokens_and_no_pod_is_of_its_host() -> Result<()> {
    for name in ALL {
        let mut with = BTreeSet::new();
        for pod in pods(name)? {
            let component = &pod["metadata"]["labels"]["app.kubernetes.io/component"];
            let component = component.as_str().context("a Pod without a component")?;
            let spec = &pod["spec"];
            if spec["automountServiceAccountToken"] != json!(false) {
                with.insert(component.to_owned());
            }
            for flag in ["hostNetwork", "hostPID", "hostIPC"] {
                ensure!(spec[flag].is_null(), "{name}: {component} has {flag}");
            }
            for container in spec["containers"].as_array().context("a Pod")? {
                let read_only = &container["securityContext"]["readOnlyRootFilesystem"];
                ensure!(*read_only == json!(true), "{name}: {component}");
            }
        }
        let expected: &[&str] = match name {
            "least" => &["operator"],
            _ => &["check", "operator"],
        };
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        ensure!(with == expected, "{name}: {with:?}");
    }
    Ok(())
}

#[test]
fn a_new_version_of_the_chart_alone_restarts_nothing() -> Result<()> {
    for name in ALL {
        for object in rendered(name)? {
            let labels = &object["spec"]["template"]["metadata"]["labels"];
            for label in ["helm.sh/chart", "app.kubernetes.io/version"] {
                ensure!(
                    labels[label].is_null(),
                    "{name}: {} has {label}",
                    kind(&object)
                );
            }
        }
    }
    Ok(())
}

/// A kind's containers may take as long as its definition says by default; an agent that leaves
/// ends many at once, and then has to say so.
#[test]
fn agents_may_take_longer_to_leave_than_their_containers_to_end() -> Result<()> {
    let definitions = rendered("default")?;
    let definition = definitions
        .iter()
        .find(|object| object["metadata"]["name"] == json!("containerkinds.network.huly.io"))
        .context("no definition of kinds")?;
    let lifecycle = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/lifecycle";
    let field = "/properties/terminationGracePeriodSeconds/default";
    let containers = definition
        .pointer(&format!("{lifecycle}{field}"))
        .and_then(Value::as_i64)
        .context("no default of terminationGracePeriodSeconds")?;
    for name in ALL {
        let mut agents = 0;
        for object in rendered(name)? {
            if kind(&object) == "DaemonSet" {
                agents += 1;
                let grace = &object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
                let grace = grace.as_i64().context("a DaemonSet without a grace")?;
                ensure!(
                    grace >= 2 * containers,
                    "{name}: {grace} s, containers {containers} s"
                );
                let leaving = drain_seconds(&object)?;
                ensure!(
                    grace == leaving + 10,
                    "{name}: {grace} s, the agent takes {leaving} s"
                );
            }
        }
        ensure!(agents > 0, "{name} has no agents");
    }
    Ok(())
}

/// How long the agents of a DaemonSet are told to take at most to leave, in s.
fn drain_seconds(daemon_set: &Value) -> Result<i64> {
    let pod = &daemon_set["spec"]["template"]["spec"];
    let env = pod["containers"][0]["env"]
        .as_array()
        .context("an agent without variables")?;
    let told = env
        .iter()
        .find(|one| one["name"] == json!("HULY_DRAIN_TIMEOUT_MS"));
    let told = told.context("agents are not told how long they may take")?;
    let ms: i64 = told["value"].as_str().context("not a text")?.parse()?;
    Ok(ms / 1_000)
}

/// Makes a namespace that takes Pods of the restricted standard alone, and warns of others.
async fn restricted(cluster: &Cluster, name: &str) -> Result<String> {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    });
    cluster.labelled_namespace(name, &labels).await
}

/// The Pods of everything that is rendered: their own, and those of the templates.
fn pods(name: &str) -> Result<Vec<Value>> {
    let mut pods = Vec::new();
    for object in rendered(name)? {
        let mut pod = match kind(&object) {
            "Pod" => object,
            "Deployment" | "DaemonSet" => {
                let mut pod = object["spec"]["template"].clone();
                pod["metadata"]["name"] = object["metadata"]["name"].clone();
                pod["apiVersion"] = json!("v1");
                pod["kind"] = json!("Pod");
                pod
            }
            _ => continue,
        };
        // Its account is not there, and the standard is not about accounts.
        if let Some(spec) = pod["spec"].as_object_mut() {
            spec.remove("serviceAccountName");
        }
        pods.push(pod);
    }
    Ok(pods)
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// What the API server says to an object without making it.
async fn dry_run(namespace: &str, object: &Value) -> Result<huly_tests::Said> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("object.json");
    std::fs::write(&file, object.to_string())?;
    let file = file.display().to_string();
    kubectl_says(&[
        "--namespace",
        namespace,
        "create",
        "--dry-run=server",
        "--filename",
        &file,
    ])
    .await
}

//! What values come to in what is rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use huly_tests::{chart, commands_in, helm, rendered};
use serde::Deserialize;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;

use super::super::{ALL, API_SERVER, kind, pods};

/// Where what is rendered comes from, and goes to.
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/chart");

const PROMETHEUS: &str = include_str!("../../../examples/prometheus/prometheus.yml");

/// Labels and annotations of the values are merged with the chart's own.
#[test]
fn nothing_is_said_twice() -> Result<()> {
    let twice = serde_yaml_ng::from_str::<Yaml>("a: 1\na: 2\n");
    ensure!(twice.is_err(), "twice is once: {twice:?}");
    for name in ALL {
        let text = fs::read_to_string(format!("{FOLDER}/golden/{name}.yaml"))?;
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            Yaml::deserialize(document).with_context(|| name)?;
        }
    }
    Ok(())
}

#[test]
fn what_controllers_select_pods_by_stands() -> Result<()> {
    for name in ALL {
        let mut selectors = 0;
        for object in rendered(name)? {
            let pod = &object["spec"]["template"]["metadata"]["labels"];
            if let Some(selector) = object["spec"]["selector"]["matchLabels"].as_object()
                && pod.is_object()
            {
                selectors += 1;
                for (label, value) in selector {
                    ensure!(pod[label] == *value, "{name}: {label} is {}", pod[label]);
                }
            }
        }
        ensure!(selectors >= 3, "{name} has {selectors} selectors");
    }
    Ok(())
}

/// Examples and values for many releases select Pods whatever a release calls itself.
#[tokio::test]
async fn another_name_is_found_all_the_same() -> Result<()> {
    let chart = chart();
    let ha = format!("{chart}/values-ha.yaml");
    let named = ["--set", "nameOverride=hub", "--values", &ha];
    let objects = template("huly", "huly", &named).await?;
    let server = pod_labels(&objects, "huly-hub-server")?;
    ensure!(server["app.kubernetes.io/name"] == json!("hub"), "{server}");

    let operator = found(&objects, "huly-hub-operator", "Deployment")?;
    let apart = operator
        .pointer(
            "/spec/template/spec/affinity/podAntiAffinity\
             /preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm\
             /labelSelector/matchLabels",
        )
        .and_then(Value::as_object)
        .context("operator and server are not kept apart")?;
    ensure!(!apart.is_empty(), "the operator is kept apart from all");
    for (label, value) in apart {
        ensure!(server[label] == *value, "{label} of {server}");
    }

    let prometheus: Value = serde_yaml_ng::from_str(PROMETHEUS)?;
    let keep = &prometheus["scrape_configs"][0]["relabel_configs"][0];
    let label = keep["source_labels"][0].as_str();
    let label = label.and_then(|label| label.strip_prefix("__meta_kubernetes_pod_label_"));
    let label = label.with_context(|| format!("no label: {keep}"))?;
    let wanted = keep["regex"].as_str().and_then(|all| all.split_once(';'));
    let (wanted, _) = wanted.with_context(|| format!("no two parts: {keep}"))?;
    for name in ALL {
        for pod in pods(name)? {
            let labels = &pod["metadata"]["labels"];
            let labels = labels.as_object().context("a Pod without labels")?;
            let is = labels.iter().find(|(name, _)| plain(name) == label);
            let is = is.and_then(|(_, value)| value.as_str());
            ensure!(is == Some(wanted), "{name}: {label} is {is:?}");
        }
    }
    Ok(())
}

/// A label's name as Prometheus writes it.
fn plain(label: &str) -> String {
    label.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// Names join a namespace and a release; two pairs that join alike have no name in common.
#[tokio::test]
async fn two_releases_never_share_what_is_in_no_namespace() -> Result<()> {
    let outside = ["ClusterRole", "ClusterRoleBinding"];
    let mut all = BTreeSet::new();
    for (name, namespace) in [("b-c", "a"), ("c", "a-b")] {
        let objects = template(name, namespace, &[]).await?;
        let names = objects
            .iter()
            .filter(|object| outside.contains(&kind(object)))
            .map(|object| format!("{} {}", kind(object), object["metadata"]["name"]));
        let mut count = 0;
        for named in names {
            count += 1;
            ensure!(all.insert(named.clone()), "both have {named}");
        }
        ensure!(count >= 5, "there are {count}");
    }
    Ok(())
}

/// Values for networks that much depends on give no program less than those that were measured, and
/// hold none up.
#[test]
fn no_program_gets_less_where_much_depends_on_it() -> Result<()> {
    let (measured, more) = (workloads("default")?, workloads("ha")?);
    ensure!(measured.keys().eq(more.keys()), "{:?}", more.keys());
    ensure!(measured.len() == 3, "{:?}", measured.keys());
    for (name, resources) in more {
        for what in ["/requests/memory", "/limits/memory"] {
            let [least, has] = [&measured[&name], &resources].map(|all| mebibytes(all, what));
            let (least, has) = (least?, has?);
            ensure!(has >= least, "{name}: {what} is {has} Mi, not {least} Mi");
        }
        let cpu = &resources["limits"]["cpu"];
        ensure!(cpu.is_null(), "{name} is held up at {cpu} of CPU");
    }
    Ok(())
}

/// The resources of what makes Pods, by its name.
fn workloads(name: &str) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for object in rendered(name)? {
        let spec = &object["spec"]["template"]["spec"];
        if let Some([container]) = spec["containers"].as_array().map(Vec::as_slice) {
            let name = object["metadata"]["name"].as_str().context("no name")?;
            all.insert(name.to_owned(), container["resources"].clone());
        }
    }
    Ok(all)
}

/// An amount of memory in resources, in MiB.
fn mebibytes(resources: &Value, what: &str) -> Result<u64> {
    let text = resources.pointer(what).and_then(Value::as_str);
    let text = text.with_context(|| format!("no {what} in {resources}"))?;
    let amount = match text.strip_suffix("Gi") {
        Some(many) => many.parse::<u64>()? * 1024,
        None => text.strip_suffix("Mi").context("an odd unit")?.parse()?,
    };
    Ok(amount)
}

/// With `rbac.create=false` nothing is made that gives rights, but for people.
#[test]
fn roles_are_left_to_others() -> Result<()> {
    for name in ["full", "least"] {
        let bindings = rendered(name)?
            .iter()
            .filter(|object| kind(object).ends_with("Binding"))
            .count();
        match (name, bindings) {
            ("full", 0) | ("least", 2) => {}
            _ => bail!("{name} has {bindings} bindings"),
        }
    }
    Ok(())
}

/// Notes are in no golden file.
#[tokio::test]
async fn the_notes_say_what_the_values_do() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    let full = notes("full").await?;
    ensure!(full.len() == 3, "{full:#?}");
    for text in [
        " --image other.example.com/tools/huly:1.2.5 --image-pull-policy Always ",
        r#""imagePullSecrets":[{"name":"pull"}]"#,
        r#""runAsUser":1000"#,
        r#""drop":["ALL","NET_RAW"]"#,
        " --network net.huly.svc:3737 containers ",
    ] {
        ensure!(full[2].contains(text), "no {text} in {}", full[2]);
    }
    // There is no test to be run.
    let least = notes("least").await?;
    ensure!(least.len() == 2, "{least:#?}");
    let image = format!(" --image huly@sha256:{:064} ", 4);
    ensure!(least[1].contains(&image), "no {image} in {}", least[1]);
    Ok(())
}

/// The commands of the notes with the values of a file; what the cluster has no types for, or has
/// already, is left out.
async fn notes(name: &str) -> Result<Vec<String>> {
    let (chart, values) = (chart(), format!("{FOLDER}/values/{name}.yaml"));
    let install = ["install", "huly", &chart, "--dry-run=client"];
    let more = ["--namespace", "huly", "--values", &values];
    let set = "crds.install=false,metrics.podMonitor.enabled=false";
    let said = helm(&[&install[..], &more, &["--set", set]].concat()).await?;
    let (_, notes) = said.stdout.split_once("\nNOTES:\n").context("no notes")?;
    Ok(commands_in(notes))
}

/// What helm renders without asking a cluster.
async fn template(name: &str, namespace: &str, more: &[&str]) -> Result<Vec<Value>> {
    let chart = chart();
    let base = ["template", name, &chart, "--namespace", namespace];
    let text = helm(&[&base[..], more].concat()).await?.stdout;
    let documents = serde_yaml_ng::Deserializer::from_str(&text).map(Value::deserialize);
    Ok(documents.collect::<Result<_, _>>()?)
}

fn found<'a>(objects: &'a [Value], name: &str, of: &str) -> Result<&'a Value> {
    let mut all = objects.iter();
    let object = all.find(|object| kind(object) == of && object["metadata"]["name"] == json!(name));
    object.with_context(|| format!("there is no {of} {name}"))
}

fn pod_labels<'a>(objects: &'a [Value], deployment: &str) -> Result<&'a Value> {
    let deployment = found(objects, deployment, "Deployment")?;
    Ok(&deployment["spec"]["template"]["metadata"]["labels"])
}

//! An upgrade brings what is new in the definitions, and leaves the objects.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cluster, Object, and_undo, chart, eventually, helm, kubectl, on_cluster, released_chart,
};
use serde_json::json;
use tokio::process::Command;

use super::super::{API_SERVER, restricted};
use super::definitions::{delete_definitions, restore_definitions, until_definitions_serve};
use super::release::{Release, SOON, nothing_is_left};

/// What the older definitions have not: a field of kinds, with the members below its line; a column
/// of claims, with those below its first.
const FIELD: &str = "maxPerAgent:";
const COLUMN: &str = "- description: How often it was placed again";

#[tokio::test]
async fn an_upgrade_brings_new_fields_and_columns_and_keeps_the_objects() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    on_cluster(async |cluster| and_undo(story(cluster), restore_definitions()).await).await
}

async fn story(cluster: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let older = older_chart(folder.path()).await?;
    delete_definitions().await?;
    let namespace = restricted(cluster, "older").await?;
    let mut release = Release::new("huly", &namespace);
    release.chart = older;
    release.install(&[]).await?;
    until_definitions_serve().await?;
    let limit = json!({ "placement": { "maxPerAgent": 7 } });
    let name = cluster.kind("echo", limit.clone()).await?;
    let wanted = json!({ "containerKindName": name, "uuid": "mine" });
    let claim = cluster.create_claim(&namespace, "mine", wanted).await?;
    let kind = cluster.kinds().get(&name).await?;
    let before = kind.at("/spec/placement/maxPerAgent");
    ensure!(before.is_null(), "the older definition takes {before}");
    ensure!(!columns(&namespace).await?.contains("FAILOVERS"));

    release.chart = chart();
    // With the older one's values, which are all that this says.
    release.upgrade(&["--reuse-values"]).await?;
    eventually(SOON, "the new definitions are served", async || {
        let change = json!({ "spec": limit });
        let kind = cluster.change(&cluster.kinds(), &name, change).await?;
        let after = kind.number("/spec/placement/maxPerAgent");
        ensure!(after == 7, "the field is {after}");
        let columns = columns(&namespace).await?;
        ensure!(columns.contains("FAILOVERS"), "{columns}");
        Ok(())
    })
    .await?;
    let kept = cluster.kinds().get(&name).await?;
    ensure!(kept.uid() == kind.uid(), "the kind is another");
    let kept = cluster.claims(&namespace).get("mine").await?;
    ensure!(kept.uid() == claim.uid(), "the claim is another");
    ensure!(kept.at("/spec") == claim.at("/spec"), "{kept:?}");

    release.uninstall().await?;
    nothing_is_left(&namespace).await
}

/// What kubectl shows of claims.
async fn columns(namespace: &str) -> Result<String> {
    kubectl(&["get", "containerclaims", "--namespace", namespace]).await
}

/// The older chart, without what is to come; packed in a folder.
async fn older_chart(folder: &Path) -> Result<String> {
    let unpacked = Command::new("tar")
        .args(["--extract", "--gzip", "--file", &released_chart()])
        .arg("--directory")
        .arg(folder)
        .status()
        .await
        .context("cannot start tar")?;
    ensure!(unpacked.success(), "tar: {unpacked}");
    let chart = folder.join("huly-network");
    for (file, what) in [
        ("containerkinds.yaml", FIELD),
        ("containerclaims.yaml", COLUMN),
    ] {
        let path = chart.join("templates/crds").join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, without(&text, what)?)?;
    }
    let (chart, place) = (chart.display().to_string(), folder.display().to_string());
    helm(&["package", &chart, "--destination", &place]).await?;
    Ok(folder.join("huly-network-0.1.0.tgz").display().to_string())
}

/// A text without the one line that is this, and those below it that are indented more.
fn without(text: &str, what: &str) -> Result<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let mut places = (0..lines.len()).filter(|place| lines[*place].trim_start() == what);
    let first = places.next().with_context(|| format!("no line {what}"))?;
    ensure!(places.next().is_none(), "several lines {what}");
    let rest = &lines[first + 1..];
    let below = rest
        .iter()
        .take_while(|line| indent(line) > indent(lines[first]))
        .count();
    ensure!(below > 0, "nothing is below {what}");
    Ok([&lines[..first], &rest[below..]].concat().join("\n") + "\n")
}

#[test]
fn lines_go_with_what_is_below_them() -> Result<()> {
    let text = "a:\n  b:\n    c: 1\n    d: 2\n  e: 3\n";
    ensure!(without(text, "b:")? == "a:\n  e: 3\n");
    ensure!(without(text, "f:").is_err());
    Ok(())
}

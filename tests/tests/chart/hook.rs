//! What `helm test` leaves.

use anyhow::{Result, ensure};
use huly_tests::{Cluster, helm_refuses, kubectl, on_cluster};

use super::super::{API_SERVER, restricted};
use super::release::{Release, nothing_is_left};

/// The types of what the test is made of.
const PARTS: &str = "pods,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings";

#[tokio::test]
async fn a_test_that_fails_leaves_nothing_and_a_refused_one_not_for_long() -> Result<()> {
    let _alone = API_SERVER.lock().await;
    on_cluster(story).await
}

async fn story(cluster: &Cluster) -> Result<()> {
    let namespace = restricted(cluster, "tried").await?;
    let release = Release::new("huly", &namespace);
    // The definitions are there already, and of nobody.
    release.install(&["--set", "crds.install=false"]).await?;

    // There are no nodes: its Pod waits for ever.
    let place = ["--namespace", &namespace, "--timeout", "2s"];
    let test = [&["test", "huly"], &place[..]].concat();
    let said = helm_refuses(&test).await?;
    ensure!(said.contains("timed out"), "{said}");
    let left = parts(&namespace).await?;
    ensure!(left.is_empty(), "{left:?}");

    let none = ["create", "quota", "none", "--hard=pods=0"];
    kubectl(&[&none[..], &["--namespace", &namespace]].concat()).await?;
    let said = helm_refuses(&test).await?;
    ensure!(said.contains("exceeded quota"), "{said}");
    // helm does not clean up after what it could not make; the uninstall does.
    let left = parts(&namespace).await?;
    ensure!(left.len() == 5, "{left:?}");
    release.uninstall().await?;
    nothing_is_left(&namespace).await?;
    let left = parts(&namespace).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// What there is of a release's test.
async fn parts(namespace: &str) -> Result<Vec<String>> {
    let get = ["get", PARTS, "--namespace", namespace, "--output", "name"];
    let all = kubectl(&get).await?;
    let cluster_wide = format!("/{namespace}:");
    let mine = |name: &&str| !name.starts_with("clusterrole") || name.contains(&cluster_wide);
    Ok(all
        .lines()
        .filter(|name| name.ends_with("-check"))
        .filter(mine)
        .map(str::to_owned)
        .collect())
}

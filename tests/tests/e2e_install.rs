//! The chart on nodes: from nothing to claimed containers.

use anyhow::{Context, Result, ensure};
use huly_tests::{Cluster, Object, Release, SOON, eventually, kubectl, on_nodes};
use kube::core::DynamicObject;

/// Of the namespace `demo` in examples/manifests.
const CLAIMS: [&str; 3] = ["my-echo", "my-counter", "lobby"];

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn from_nothing_to_claims_that_say_where_they_live() -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::fresh(cluster).await?;
        with_examples(async || {
            for name in CLAIMS {
                let claim = until_ready(cluster, name).await?;
                lives_where_it_says(&release, &claim).await?;
            }
            let counted = release.live.increment("counter-1", 2).await?;
            assert_eq!(counted, 2);
            Ok(())
        })
        .await
    })
    .await
}

/// Applies examples/manifests and deletes what they made when the story has been told.
async fn with_examples(story: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/manifests");
    kubectl(&["apply", "--filename", folder]).await?;
    let told = story().await;
    let delete = ["delete", "--ignore-not-found", "--wait", "--timeout=60s"];
    let deleted = kubectl(&[&delete[..], &["--filename", folder]].concat()).await;
    told.and(deleted.map(drop))
}

async fn until_ready(cluster: &Cluster, name: &str) -> Result<DynamicObject> {
    eventually(SOON, &format!("{name} is Ready"), async || {
        let claim = cluster.claims("demo").get(name).await?;
        ensure!(claim.is("Ready"), "{}", claim.shown());
        Ok(claim)
    })
    .await
}

/// The claim's status names a Pod and node that the API server knows, and the agent in that Pod
/// hosts the container.
async fn lives_where_it_says(release: &Release, claim: &DynamicObject) -> Result<()> {
    let (name, pod) = (claim.name(), claim.text("/status/podName"));
    let agents = release.agents().await?;
    let agent = agents
        .iter()
        .find(|agent| pod == format!("{}/{}", release.namespace, agent.name))
        .with_context(|| format!("{name} says the Pod {pod:?}, of {agents:?}"))?;
    assert_eq!(claim.text("/status/nodeName"), agent.node, "{name}");
    assert_eq!(
        claim.text("/status/endpoint"),
        format!("{}:3738", agent.ip),
        "{name}"
    );
    let container = release.live.container(claim.text("/status/uuid")).await?;
    let container = container.with_context(|| format!("{name} does not live"))?;
    assert_eq!(claim.text("/status/agent"), container.agent_id, "{name}");
    Ok(())
}

//! The chart on nodes: from nothing to claimed containers.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cluster, Object, Release, SOON, commands_in, eventually, kubectl, measured, on_nodes, shell,
};
use kube::core::DynamicObject;
use serde::Deserialize;

/// Those of examples/manifests.
const CLAIMS: &str = include_str!("../../examples/manifests/20-claims.yaml");

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn from_nothing_to_claims_that_say_where_they_live() -> Result<()> {
    on_nodes(async |cluster| {
        Release::nothing(cluster).await?;
        let installed = Instant::now();
        let release = Release::shared(cluster).await?;
        measured("helm install until all is ready", installed.elapsed());
        with_examples(async || {
            for claim in serde_yaml_ng::Deserializer::from_str(CLAIMS) {
                let claim = DynamicObject::deserialize(claim)?;
                let claim = until_ready(cluster, &claim).await?;
                lives_where_it_says(&release, &claim).await?;
            }
            let counted = release.live.increment("counter-1", 2).await?;
            ensure!(counted == 2, "it was at {counted} already");
            notes_are_followed(&release).await
        })
        .await
    })
    .await
}

/// Types what helm said to type next.
async fn notes_are_followed(release: &Release) -> Result<()> {
    let commands = commands_in(&release.notes().await?);
    let expected: [&[&str]; 3] = [
        &["-server-", "-operator-", "-agent-stock-", "Running"],
        &["answers: with what it was sent", "Succeeded"],
        &["counter-1", "pod \"huly\" deleted"],
    ];
    ensure!(commands.len() == expected.len(), "{commands:#?}");
    for (command, expected) in commands.iter().zip(expected) {
        let said = shell(command, &["-o", "errexit"]).await?;
        ensure!(said.success, "{command}: {}", said.stdout);
        for text in expected {
            let found = said.stdout.contains(text);
            ensure!(found, "{command}: no {text:?} in {}", said.stdout);
        }
    }
    Ok(())
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

async fn until_ready(cluster: &Cluster, applied: &DynamicObject) -> Result<DynamicObject> {
    let namespace = applied.metadata.namespace.as_deref();
    let claims = cluster.claims(namespace.context("a claim without a namespace")?);
    let name = applied.name();
    eventually(SOON, &format!("{name} is Ready"), async || {
        let claim = claims.get(name).await?;
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
    let endpoint = format!("{}:3738", agent.ip);
    let container = release.live.container(claim.text("/status/uuid")).await?;
    let container = container.with_context(|| format!("{name} does not live"))?;
    for (field, is) in [
        ("/status/nodeName", &agent.node),
        ("/status/endpoint", &endpoint),
        ("/status/agent", &container.agent_id),
    ] {
        let said = claim.text(field);
        ensure!(said == is, "{name} says {field} {said:?}, not {is:?}");
    }
    Ok(())
}

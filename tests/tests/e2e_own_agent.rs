//! An application's own agents beside the stock ones: examples/own-agent, its image made as
//! docs/images.md says, as a second entry of the chart's `agents`.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use huly_tests::{
    Cluster, Component, Counter, NODES, Object, Release, ReleasePod, SOON, and_undo, chart, helm,
    measured, on_cluster,
};
use serde_json::json;

/// Where the application's agent is to be.
const NODE: &str = "node-2";

/// What an application's owner adds to the values: the entry of before, and one more.
const ENTRIES: &str = "agents[0].name=stock,\
    agents[1].name=greeters,\
    agents[1].image.repository=own-agent,\
    agents[1].nodeSelector.kubernetes\\.io/hostname=node-2";

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn an_applications_agents_serve_its_kind_beside_the_stock_ones() -> Result<()> {
    on_cluster(async |cluster| {
        // The definitions are that release's.
        Release::shared(cluster).await?;
        let namespace = cluster.namespace("own").await?;
        let story = beside_the_stock_agents(cluster, &namespace);
        let uninstall = ["uninstall", "huly", "--ignore-not-found"];
        and_undo(story, helm_in(&namespace, &uninstall)).await
    })
    .await
}

async fn beside_the_stock_agents(cluster: &Cluster, namespace: &str) -> Result<()> {
    let network = format!("networkName={},crds.install=false", cluster.network());
    let release = Release::installed(cluster, namespace, &["--set", &network]).await?;
    let mut stock = release.agents().await?;
    stock.sort_by(|one, other| one.node.cmp(&other.node));
    let claims = cluster.namespace("claims").await?;
    let counting = cluster.kind("counter", json!({})).await?;
    let counter = async |name: &str| {
        let name = format!("{claims}-{name}");
        Counter::claimed(cluster, &release.live, &claims, &counting, &name, 3).await
    };
    let before = counter("before").await?;

    let greeting = cluster.kind("greeter", json!({})).await?;
    let uuid = format!("{claims}-greeter");
    let spec = json!({ "uuid": uuid, "extra": { "words": "Good morning" } });
    let claim = cluster.claim(&claims, &uuid, &greeting, spec).await?;
    let (refused, _) = claim.until_refused("NotPlaceable").await?;
    let why = refused.condition("Bound").context("it has one")?.message;
    ensure!(why.contains("3 KindNotServed"), "{why}");

    let began = Instant::now();
    let chart = chart();
    let upgrade = ["upgrade", "huly", &chart, "--reset-then-reuse-values"];
    helm_in(namespace, &[&upgrade[..], &["--set", ENTRIES]].concat()).await?;
    let (bound, at) = claim.until_ready().await?;
    measured(
        "helm upgrade with own agents → the claim is Bound",
        at - began,
    );

    let (own, others) = by_entry(&release).await?;
    ensure!(own.node == NODE, "it is on {}", own.node);
    let id = agent_in(&release, &own).await?;
    for (member, is) in [
        ("podName", format!("{namespace}/{}", own.name)),
        ("nodeName", NODE.to_owned()),
        ("endpoint", format!("{}:3738", own.ip)),
        ("agent", id.clone()),
    ] {
        let said = bound.text(&format!("/status/{member}"));
        ensure!(said == is, "{member} is {said}, not {is}");
    }
    let ada = json!({ "name": "Ada" });
    let answer = release.live.ask(&uuid, "greet", &ada, SOON).await?;
    ensure!(
        answer == json!({ "greeting": "Good morning, Ada!" }),
        "{answer}"
    );

    ensure!(others == stock, "{others:?} were {stock:?}");
    before.lives_on(&release.live).await?;
    before.is_unwritten(cluster).await?;
    // Agents have their turn one after the other: it is not this one's for a kind of others.
    for turn in 0..=NODES.len() {
        let counter = counter(&format!("after-{turn}")).await?;
        ensure!(counter.agent() != id, "{counter:?}");
    }
    Ok(())
}

/// The Pod of the application's agent, and those of the others in the order of the nodes.
async fn by_entry(release: &Release) -> Result<(ReleasePod, Vec<ReleasePod>)> {
    let pods = release.pods(Component::Agent).await?;
    let (mut own, mut others): (Vec<_>, Vec<_>) = pods
        .into_iter()
        .partition(|pod| pod.name.contains("-agent-greeters-"));
    others.sort_by(|one, other| one.node.cmp(&other.node));
    let only = own.pop().context("it has no Pod")?;
    ensure!(own.is_empty(), "it has {only:?} and {own:?}");
    Ok((only, others))
}

/// The id of the agent in a Pod.
async fn agent_in(release: &Release, pod: &ReleasePod) -> Result<String> {
    let known = release.live.agents().await?;
    let here = known.into_iter().find(|agent| {
        let more = agent.huly.as_ref().and_then(|more| more.pod.as_ref());
        more.is_some_and(|more| more.uid == pod.uid)
    });
    here.map(|agent| agent.agent_id)
        .with_context(|| format!("{pod:?} is of no agent"))
}

async fn helm_in(namespace: &str, arguments: &[&str]) -> Result<()> {
    let place = ["--namespace", namespace, "--wait", "--timeout", "2m"];
    helm(&[arguments, &place].concat()).await.map(drop)
}

//! Claims and clients share containers, those of the original network too; its agents host what is
//! claimed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_client::ContainerRef;
use huly_tests::{
    Layout, Object, OriginalAgent, SOON, eventually, kubectl_huly, original_client, scenario,
};
use serde_json::{Value, json};

/// How long containers of these tests live unreferenced.
const IDLE: Duration = Duration::from_secs(1);

fn idle() -> Value {
    json!({"lifecycle": {"idleTimeoutSeconds": IDLE.as_secs()}})
}

async fn increment(counter: &ContainerRef, by: u64) -> Result<u64> {
    let answer: Value = counter.request("increment", &json!({ "by": by })).await?;
    answer["value"]
        .as_u64()
        .with_context(|| format!("a counter says {answer}"))
}

#[tokio::test]
async fn a_claims_container_is_a_clients_too() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let kind = test.cluster.kind("counter", idle()).await?;
        let namespace = test.cluster.namespace("claimed").await?;
        let claimed = test.counter(&namespace, &kind, "u", 5).await?;

        let held = test.live.client().get("counter").uuid("u").await?;
        let placement = held.placement().context("where it lives")?;
        assert_eq!(placement.agent_id, claimed.agent());
        assert_eq!(placement.epoch, Some(claimed.epoch));
        assert_eq!(test.live.references("u").await?, 2);
        claimed.is_untouched(test).await?;
        assert_eq!(increment(&held, 1).await?, 6);

        // The claim goes, the client still holds it.
        let claims = test.cluster.claims(&namespace);
        test.cluster.delete(&claims, "u").await?;
        eventually(SOON, "the claim's reference is gone", async || {
            ensure!(test.live.references("u").await? == 1, "there are two");
            Ok(())
        })
        .await?;
        test.live.idle_out("counter", IDLE + SOON).await?;
        assert_eq!(increment(&held, 1).await?, 7, "it was started again");
        assert_eq!(test.live.epoch("u").await?, claimed.epoch);

        held.release().await?;
        test.live.until_gone("u", IDLE + SOON).await
    })
    .await
}

#[tokio::test]
async fn clients_of_the_original_reach_what_is_claimed() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let kind = test.cluster.kind("counter", idle()).await?;
        let namespace = test.cluster.namespace("claimed").await?;
        let claimed = test.counter(&namespace, &kind, "u", 5).await?;

        let address = &test.network.address;
        let got = original_client(address, "counter", "u", "increment", &json!({"by": 1})).await?;
        let endpoint = got["endpoint"].as_str().unwrap_or_default();
        let endpoint: Value = serde_json::from_str(endpoint).with_context(|| got.to_string())?;
        assert_eq!(endpoint["agentId"], json!(claimed.agent()), "{got}");
        assert_eq!(
            (&got["routed"], &got["direct"]),
            (&json!({"value": 6}), &json!({"value": 7}))
        );

        // It has gone, the claim still holds it.
        eventually(SOON, "the client's reference is gone", async || {
            ensure!(test.live.references("u").await? == 1, "there are two");
            Ok(())
        })
        .await?;
        test.live.idle_out("counter", IDLE + SOON).await?;
        assert_eq!(test.live.value("u").await?, 7, "it was started again");
        claimed.is_unwritten(&test.cluster).await
    })
    .await
}

#[tokio::test]
async fn a_clients_container_is_a_claims_too() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let kind = test.cluster.kind("counter", idle()).await?;
        let served = test.cluster.watch_kind(&kind).await?;
        served.until_ready().await?;
        let held = test.live.client().get("counter").uuid("u").await?;
        assert_eq!(increment(&held, 5).await?, 5);
        let placement = held.placement().context("where it lives")?;

        let namespace = test.cluster.namespace("later").await?;
        let spec = json!({"uuid": "u"});
        let claim = test.cluster.claim(&namespace, "c", &kind, spec).await?;
        let (bound, _) = claim.until_ready().await?;
        assert_eq!(bound.text("/status/agent"), placement.agent_id);
        let epoch = test.live.epoch_text("u").await?;
        assert_eq!(bound.text("/status/epoch"), epoch);
        assert_eq!(bound.number("/status/failovers"), 0);
        assert_eq!(test.live.references("u").await?, 2);
        assert_eq!(increment(&held, 1).await?, 6, "it was started again");

        // The client goes, the claim still holds it.
        held.release().await?;
        test.live.idle_out("counter", IDLE + SOON).await?;
        assert_eq!(test.live.value("u").await?, 6, "it was started again");
        assert_eq!(test.live.references("u").await?, 1);
        let claims = test.cluster.claims(&namespace);
        let now = claims.get("c").await?;
        assert_eq!(now.version(), bound.version(), "{}", now.shown());

        test.cluster.delete(&claims, "c").await?;
        test.live.until_gone("u", IDLE + SOON).await
    })
    .await
}

#[tokio::test]
async fn agents_of_the_original_host_what_is_claimed() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let kind = cluster.kind("ledger", idle()).await?;
        let served = cluster.watch_kind(&kind).await?;
        let nobody = |kind: &_| Object::is_not(kind, "Served", "NoAgents");
        served.until(SOON, "has no agents", nobody).await?;

        let address = &test.network.address;
        let original = OriginalAgent::start(address, true, &["ledger"]).await?;
        let (ready, _) = served.until_ready().await?;
        assert!(ready.is("Served"), "{}", ready.shown());
        assert_eq!(ready.number("/status/agents"), 1);

        let said = kubectl_huly(address, &["agents", "--output", "json"]).await?;
        ensure!(said.success, "{said:?}");
        let agents: Vec<Value> = serde_json::from_str(&said.stdout)?;
        let listed = agents.iter().find(|agent| agent["agentId"] == original.id);
        let listed = listed.with_context(|| said.stdout.clone())?;
        assert_eq!(listed["kinds"], json!(["ledger"]));
        let said = kubectl_huly(address, &["agents"]).await?;
        assert!(said.stdout.contains(&original.id), "{said:?}");

        let namespace = cluster.namespace("original").await?;
        let spec = json!({"uuid": "u", "containerLabels": ["red"]});
        let claim = cluster.claim(&namespace, "c", &kind, spec).await?;
        let (bound, _) = claim.until_ready().await?;
        assert_eq!(bound.text("/status/agent"), original.id);
        assert_eq!(bound.text("/status/mode"), "Routed");
        assert_eq!(bound.at("/status/containerLabels"), &json!(["red"]));
        let endpoint = bound.text("/status/endpoint");
        assert!(endpoint.starts_with("127.0.0.1:"), "{endpoint}");
        for unknown in ["/status/nodeName", "/status/podName"] {
            assert!(bound.at(unknown).is_null(), "{}", bound.shown());
        }

        // A client of ours calls it, by both ways.
        let held = test.live.client().get("ledger").uuid("u").await?;
        let answer: Value = held.request("post", &json!(1)).await?;
        assert_eq!(answer["n"], json!(1), "{answer}");
        let connection = held.connect().await?;
        let answer: Value = connection.request("post", &json!(2)).await?;
        assert_eq!(answer["hasClient"], json!(true), "{answer}");
        drop((connection, held));

        // Another one takes over when it is gone.
        let address = address.clone();
        let heir = OriginalAgent::start(&address, false, &["ledger"]).await?;
        original.kill().await?;
        let again = |claim: &_| {
            Object::is(claim, "Ready") && Object::number(claim, "/status/failovers") == 1
        };
        let (moved, _) = claim.until(SOON, "is Bound again", again).await?;
        assert_eq!(moved.text("/status/agent"), heir.id);
        assert_eq!(moved.at("/status/containerLabels"), &json!(["red"]));
        let answer = test.live.ask("u", "post", &json!(3), SOON).await?;
        assert_eq!(answer["n"], json!(1), "the first of its new life: {answer}");

        test.cluster
            .delete(&test.cluster.claims(&namespace), "c")
            .await?;
        test.live.until_gone("u", IDLE + SOON).await
    })
    .await
}

#[tokio::test]
async fn agents_of_both_kinds_share_a_kinds_claims() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let address = &test.network.address;
        let original = OriginalAgent::start(address, false, &["echo"]).await?;
        let kind = test.cluster.kind("echo", idle()).await?;
        let served = test.cluster.watch_kind(&kind).await?;
        let both =
            |kind: &_| Object::is(kind, "Ready") && Object::number(kind, "/status/agents") == 2;
        served.until(SOON, "is served by both", both).await?;
        let namespace = test.cluster.namespace("both").await?;
        let mut agents = Vec::new();
        for name in ["a", "b"] {
            let spec = json!({ "uuid": name });
            let claim = test.cluster.claim(&namespace, name, &kind, spec).await?;
            let (bound, _) = claim.until_ready().await?;
            agents.push(bound.text("/status/agent").to_owned());
            test.live.ask(name, "echo", &json!(1), SOON).await?;
        }
        agents.sort();
        let mut expected = ["agent-0".to_owned(), original.id.clone()];
        expected.sort();
        assert_eq!(agents, expected, "one after the other");
        Ok(())
    })
    .await
}

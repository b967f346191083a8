//! Claims that cannot be bound say why, each with a reason of its own, and are bound once the
//! cause is gone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{Layout, Object, SOON, eventually, scenario};
use kube::core::DynamicObject;
use serde_json::json;
use tokio::time::sleep;

#[tokio::test]
async fn of_an_unknown_kind() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let namespace = cluster.namespace("unknown").await?;
        let name = cluster.kind_name("later");
        let claim = cluster.claim(&namespace, "early", &name, json!({})).await?;
        let (refused, _) = claim.until_refused("KindNotFound").await?;
        let said = refused.condition("Bound").context("Bound")?.message;
        assert!(
            said.contains(&name),
            "the message does not name the kind: {said}"
        );
        assert!(
            !refused.is("Ready") && !refused.is("Available"),
            "{}",
            refused.shown()
        );
        eventually(SOON, "the Event NotPlaceable", async || {
            let events = cluster.events(&namespace, &refused).await?;
            ensure!(events == [format!("NotPlaceable: {said}")], "{events:?}");
            Ok(())
        })
        .await?;

        cluster.kind_named("later", "echo", json!({})).await?;
        claim.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_kind_that_nobody_serves() -> Result<()> {
    scenario(Layout::agents(1).started(0), async |test| {
        let kind = test.cluster.kind("echo", json!({})).await?;
        let namespace = test.cluster.namespace("nobody").await?;
        let claim = test
            .cluster
            .claim(&namespace, "early", &kind, json!({}))
            .await?;
        let (refused, _) = claim.until_refused("NotPlaceable").await?;
        let said = refused.condition("Bound").context("Bound")?.message;
        assert!(
            said.contains("0/0 agents"),
            "the message does not count: {said}"
        );

        let told = async |reason: &str| {
            eventually(SOON, &format!("the Event {reason}"), async || {
                let events = test.cluster.events(&namespace, &refused).await?;
                let told = events.iter().filter(|event| event.starts_with(reason));
                ensure!(told.count() == 1, "{events:?}");
                Ok(())
            })
            .await
        };
        told("NotPlaceable:").await?;
        // That a claim is Bound is told if it took more than a second.
        let waited = claim.after_its_making(Instant::now());
        sleep(Duration::from_secs(1).saturating_sub(waited)).await;
        test.network.agents[0].start().await?;
        claim.until_ready().await?;
        told("Bound:").await
    })
    .await
}

#[tokio::test]
async fn of_a_kind_that_other_agents_serve() -> Result<()> {
    scenario(Layout::agents(2).started(1), async |test| {
        let selector = json!({"placement": {"agentSelector": {"matchLabels": {"zone": "1"}}}});
        let kind = test.cluster.kind("echo", selector).await?;
        let unhosted = test.cluster.kind("nobody-hosts-this", json!({})).await?;
        let namespace = test.cluster.namespace("elsewhere").await?;
        let claim = test
            .cluster
            .claim(&namespace, "selective", &kind, json!({}))
            .await?;
        let (refused, _) = claim.until_refused("NotPlaceable").await?;
        let said = refused.condition("Bound").context("Bound")?.message;
        assert!(
            said.contains("0/1 agents: 1 SelectorMismatch"),
            "it does not count: {said}"
        );

        let other = test
            .cluster
            .claim(&namespace, "unhosted", &unhosted, json!({}))
            .await?;
        let (refused, _) = other.until_refused("NotPlaceable").await?;
        let said = refused.condition("Bound").context("Bound")?.message;
        assert!(
            said.contains("0/1 agents: 1 KindNotServed"),
            "it does not count: {said}"
        );

        test.network.agents[1].start().await?;
        let (bound, _) = claim.until_ready().await?;
        assert_eq!(bound.text("/status/agent"), "agent-1");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_uuid_of_another_kind() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let counter = cluster.kind("counter", short.clone()).await?;
        let echo = cluster.kind("echo", short).await?;
        let namespace = cluster.namespace("kinds").await?;
        let first = test.counter(&namespace, &counter, "u", 2).await?;
        let second = cluster
            .claim(&namespace, "second", &echo, json!({"uuid": "u"}))
            .await?;
        second.until_refused("UuidOfOtherKind").await?;
        assert_eq!(
            test.live.references("u").await?,
            1,
            "it holds what is not of its kind"
        );
        first.lives_on(&test.live).await?;

        cluster.delete(&cluster.claims(&namespace), "u").await?;
        second.until_ready().await?;
        let lives = test.live.container("u").await?.context("u lives")?;
        assert_eq!(lives.kind, "echo");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_uuid_that_a_client_made_under_another_kind() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        test.cluster.kind("counter", short.clone()).await?;
        let echo = test.cluster.kind("echo", short).await?;
        let namespace = test.cluster.namespace("kinds").await?;
        let held = test.live.client().get("counter").uuid("u").await?;
        let claim = test
            .cluster
            .claim(&namespace, "c", &echo, json!({"uuid": "u"}))
            .await?;
        claim.until_refused("UuidOfOtherKind").await?;
        held.release().await?;
        claim.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_kind_that_its_namespace_may_not_use() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let selector = json!({"matchLabels": {"team": "a"}});
        let spec = json!({"allowedNamespaces": {"from": "Selector", "selector": selector}});
        let kind = cluster.kind("echo", spec).await?;
        let allowed = cluster
            .labelled_namespace("a", &json!({"team": "a"}))
            .await?;
        let other = cluster
            .labelled_namespace("b", &json!({"team": "b"}))
            .await?;
        let bound = cluster.claim(&allowed, "c", &kind, json!({})).await?;
        bound.until_ready().await?;
        let claim = cluster.claim(&other, "c", &kind, json!({})).await?;
        claim.until_refused("KindNotAllowed").await?;

        cluster
            .label_namespace(&other, &json!({"team": "a"}))
            .await?;
        claim.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_kind_of_another_network() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let elsewhere = json!({"networkName": format!("{}-other", test.network.name)});
        let kind = cluster.kind("echo", elsewhere).await?;
        let namespace = cluster.namespace("network").await?;
        let claim = cluster.claim(&namespace, "c", &kind, json!({})).await?;
        claim.until_refused("KindOfOtherNetwork").await?;

        cluster.delete(&cluster.kinds(), &kind).await?;
        cluster.kind("echo", json!({})).await?;
        claim.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_deleted_kind() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let kind = test.cluster.kind("counter", json!({})).await?;
        let namespace = test.cluster.namespace("deleted").await?;
        let counter = test.counter(&namespace, &kind, "c", 4).await?;
        let claim = &counter.claim;
        test.cluster.delete(&test.cluster.kinds(), &kind).await?;
        let (orphan, _) = claim
            .until(SOON, "says that its kind is deleted", |claim| {
                claim
                    .condition("Bound")
                    .is_some_and(|bound| bound.reason == "KindDeleted")
            })
            .await?;
        assert!(
            orphan.is("Bound"),
            "its container lives on: {}",
            orphan.shown()
        );
        let epoch = counter.bound.text("/status/epoch");
        assert_eq!(orphan.text("/status/epoch"), epoch);
        counter.lives_on(&test.live).await?;
        let late = test
            .cluster
            .claim(&namespace, "late", &kind, json!({}))
            .await?;
        late.until_refused("KindNotFound").await?;

        test.cluster.kind("counter", json!({})).await?;
        let whole = |claim: &DynamicObject| {
            claim
                .condition("Bound")
                .is_some_and(|bound| bound.reason == "Bound")
        };
        late.until(SOON, "is Ready", whole).await?;
        let known = claim.versions().len();
        claim
            .until_after(known - 1, SOON, "has a kind again", whole)
            .await?;
        counter.lives_on(&test.live).await
    })
    .await
}

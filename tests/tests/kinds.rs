//! ContainerKinds: whether they are accepted and served, and what they say of placement.

use anyhow::{Context, Result, ensure};
use huly_tests::{Layout, Object, SOON, after_its_second, scenario};
use kube::core::DynamicObject;
use serde_json::json;

#[tokio::test]
async fn a_kind_is_served() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let name = test.cluster.kind("echo", json!({})).await?;
        let kind = test.cluster.watch_kind(&name).await?;
        let (kind, _) = kind.until_ready().await?;
        assert!(kind.is("Accepted") && kind.is("Served"), "{}", kind.shown());
        assert_eq!(kind.number("/status/agents"), 2);
        assert_eq!(kind.number("/status/observedGeneration"), 1);
        let served = kind.condition("Served").context("Served")?;
        assert_eq!(served.observed_generation, Some(1));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_kind_without_an_agent_says_so() -> Result<()> {
    scenario(Layout::agents(1).started(0), async |test| {
        let name = test.cluster.kind("echo", json!({})).await?;
        let kind = test.cluster.watch_kind(&name).await?;
        let no_agents = |kind: &DynamicObject| kind.is_not("Served", "NoAgents");
        let (seen, _) = kind.until(SOON, "has no agents", no_agents).await?;
        assert!(seen.is("Accepted") && !seen.is("Ready"), "{}", seen.shown());
        let said = seen.condition("Served").context("Served")?.message;
        assert!(
            said.contains("echo"),
            "the message does not name the kind: {said}"
        );

        test.network.agents[0].start().await?;
        let known = kind.versions().len();
        kind.until_after(known - 1, SOON, "is Ready with an agent", |kind| {
            kind.is("Ready")
        })
        .await?;

        let known = kind.versions().len();
        test.network.agents[0].kill().await?;
        kind.until_after(known, SOON, "has no agents again", no_agents)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_kind_that_nobody_hosts_says_so() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let name = test.cluster.kind("nobody-hosts-this", json!({})).await?;
        let kind = test.cluster.watch_kind(&name).await?;
        kind.until(SOON, "has no agents", |kind| {
            kind.is_not("Served", "NoAgents")
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_selector_that_selects_nobody_says_so() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let selector = json!({"placement": {"agentSelector": {"matchLabels": {"zone": "9"}}}});
        let name = test.cluster.kind("echo", selector).await?;
        let kind = test.cluster.watch_kind(&name).await?;
        kind.until(SOON, "selects nobody", |kind| {
            kind.is_not("Served", "SelectorMismatch") && !kind.is("Ready")
        })
        .await?;

        let selector = json!({"placement": {"agentSelector": {"matchLabels": {"zone": "0"}}}});
        let change = json!({ "spec": selector });
        test.cluster
            .change(&test.cluster.kinds(), &name, change)
            .await?;
        let (kind, _) = kind.until_ready().await?;
        assert_eq!(kind.number("/status/observedGeneration"), 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_older_of_two_kinds_with_one_name_wins() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let cluster = &test.cluster;
        let older = cluster.kind_named("zz-older", "echo", json!({})).await?;
        let first = cluster.watch_kind(&older).await?;
        let (made, _) = first.until_ready().await?;
        after_its_second(&made).await?;
        let younger = cluster.kind_named("aa-younger", "echo", json!({})).await?;
        let second = cluster.watch_kind(&younger).await?;
        let (refused, _) = second
            .until(SOON, "is in conflict", |kind| {
                kind.is_not("Accepted", "NameConflict")
            })
            .await?;
        let said = refused.condition("Accepted").context("Accepted")?.message;
        assert!(
            said.contains(&older),
            "the message does not name the other: {said}"
        );
        assert!(!refused.is("Ready"), "{}", refused.shown());

        let namespace = cluster.namespace("conflict").await?;
        let claim = cluster
            .claim(&namespace, "late", &younger, json!({}))
            .await?;
        claim.until_refused("KindNotAccepted").await?;
        let now = cluster.kinds().get(&older).await?;
        assert!(
            now.is("Accepted") && now.is("Ready"),
            "the older lost: {}",
            now.shown()
        );

        cluster.delete(&cluster.kinds(), &older).await?;
        second.until_ready().await?;
        claim.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_agent_hosts_no_more_than_its_kind_allows() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let cluster = &test.cluster;
        let limit = |most: u32| json!({"placement": {"maxPerAgent": most}});
        let kind = cluster.kind("echo", limit(1)).await?;
        let namespace = cluster.namespace("limit").await?;
        let mut agents = Vec::new();
        for name in ["a", "b"] {
            let claim = cluster.claim(&namespace, name, &kind, json!({})).await?;
            let (claim, _) = claim.until_ready().await?;
            agents.push(claim.text("/status/agent").to_owned());
        }
        agents.sort();
        assert_eq!(agents, ["agent-0", "agent-1"]);

        let third = cluster.claim(&namespace, "c", &kind, json!({})).await?;
        let (refused, _) = third.until_refused("NotPlaceable").await?;
        let said = refused.condition("Bound").context("Bound")?.message;
        assert!(
            said.contains("0/2 agents"),
            "the message does not count: {said}"
        );

        cluster
            .change(&cluster.kinds(), &kind, json!({ "spec": limit(2) }))
            .await?;
        third.until_ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_selector_is_obeyed_at_a_failover() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let selector = json!({"placement": {"agentSelector": {"matchLabels": {"zone": "1"}}}});
        let kind = test.cluster.kind("echo", selector).await?;
        let namespace = test.cluster.namespace("selected").await?;
        let mut claims = Vec::new();
        for name in ["a", "b", "c"] {
            let claim = test
                .cluster
                .claim(&namespace, name, &kind, json!({}))
                .await?;
            let (bound, _) = claim.until_ready().await?;
            assert_eq!(bound.text("/status/agent"), "agent-1");
            claims.push(claim);
        }
        // The other agent is not selected: the containers wait until theirs is back.
        test.network.agents[1].kill().await?;
        for claim in &claims {
            let lost = |claim: &DynamicObject| !claim.is("Ready");
            claim.until_after(2, SOON, "is not Ready", lost).await?;
        }
        let agents = test.live.agents().await?;
        ensure!(
            agents.iter().all(|agent| agent.containers == 0),
            "a container is where its kind does not allow: {agents:?}"
        );
        test.network.agents[1].start().await?;
        for claim in &claims {
            let back =
                |claim: &DynamicObject| claim.is("Ready") && claim.number("/status/failovers") == 1;
            let (back, _) = claim.until(SOON, "is Bound again", back).await?;
            assert_eq!(back.text("/status/agent"), "agent-1");
        }
        Ok(())
    })
    .await
}

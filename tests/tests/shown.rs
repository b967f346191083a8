//! What kubectl shows of kinds and claims.

use anyhow::{Context, Result, ensure};
use huly_tests::{Layout, kubectl, kubectl_huly, scenario};
use serde_json::{Value, json};

/// The columns' titles, and the values of the row of an object.
fn row(table: &str, name: &str) -> Result<(Vec<String>, Vec<String>)> {
    let mut lines = table.lines().map(|line| {
        let columns = line
            .split("  ")
            .map(str::trim)
            .filter(|text| !text.is_empty());
        columns.map(str::to_owned).collect::<Vec<_>>()
    });
    let titles = lines
        .next()
        .with_context(|| format!("no titles: {table}"))?;
    let values = lines.find(|values| values.first().is_some_and(|first| first == name));
    Ok((
        titles,
        values.with_context(|| format!("no {name}: {table}"))?,
    ))
}

#[tokio::test]
async fn kubectl_shows_the_columns() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let kind = test.cluster.kind("echo", json!({})).await?;
        let watched = test.cluster.watch_kind(&kind).await?;
        watched.until_ready().await?;
        let namespace = test.cluster.namespace("shown").await?;
        let claim = test
            .cluster
            .claim(&namespace, "c", &kind, json!({"uuid": "u"}))
            .await?;
        claim.until_ready().await?;

        let table = kubectl(&["get", "ccl", "--namespace", &namespace]).await?;
        let (titles, values) = row(&table, "c")?;
        assert_eq!(
            titles,
            [
                "NAME",
                "KIND",
                "READY",
                "REASON",
                "UUID",
                "AGENT",
                "NODE",
                "FAILOVERS",
                "AGE"
            ]
        );
        assert_eq!(
            values[..8],
            ["c", &kind, "True", "Ready", "u", "agent-0", "node-0", "0"]
        );

        let table = kubectl(&["get", "ck", &kind]).await?;
        let (titles, values) = row(&table, &kind)?;
        assert_eq!(titles[..4], ["NAME", "READY", "REASON", "AGENTS"]);
        assert_eq!(values[..4], [kind.as_str(), "True", "Ready", "1"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn claims_are_found_by_kind_and_node() -> Result<()> {
    scenario(Layout::agents(2), async |test| {
        let cluster = &test.cluster;
        let namespace = cluster.namespace("found").await?;
        for (kind, zone) in [("echo", "0"), ("counter", "1")] {
            let selector = json!({"placement": {"agentSelector": {"matchLabels": {"zone": zone}}}});
            let name = cluster.kind(kind, selector).await?;
            let claim = cluster.claim(&namespace, kind, &name, json!({})).await?;
            claim.until_ready().await?;
        }
        let echo = format!("spec.containerKindName={}", cluster.kind_name("echo"));
        let network = format!("spec.networkName={}", test.network.name);
        for (selector, found) in [
            (echo.as_str(), "containerclaim.network.huly.io/echo"),
            (
                "status.nodeName=node-1",
                "containerclaim.network.huly.io/counter",
            ),
            (
                &format!("{network},status.nodeName=node-0"),
                "containerclaim.network.huly.io/echo",
            ),
            (&format!("{network}-other"), ""),
        ] {
            let names = kubectl(&[
                "get",
                "containerclaims",
                "--namespace",
                &namespace,
                "--field-selector",
                selector,
                "--output",
                "name",
            ])
            .await?;
            assert_eq!(names.trim(), found, "{selector}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_huly_is_the_command_line() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let kind = test.cluster.kind("echo", json!({})).await?;
        let namespace = test.cluster.namespace("plugin").await?;
        let claim = test
            .cluster
            .claim(&namespace, "c", &kind, json!({"uuid": "u"}))
            .await?;
        claim.until_ready().await?;

        let network = test.network.address.as_str();
        let table = kubectl_huly(network, &["agents"]).await?;
        ensure!(table.success, "{table:?}");
        let (titles, values) = row(&table.stdout, "agent-0")?;
        assert_eq!(titles[0], "AGENT");
        assert_eq!(values[0], "agent-0");

        let listed = kubectl_huly(network, &["containers", "-o", "json"]).await?;
        ensure!(listed.success, "{listed:?}");
        let listed: Value = serde_json::from_str(&listed.stdout)?;
        let lives = (&listed[0]["uuid"], &listed[0]["agentId"]);
        assert_eq!(lives, (&json!("u"), &json!("agent-0")), "{listed}");

        // It says how it was called, and its exit status is kubectl's.
        let wrong = kubectl_huly(network, &["no-such-command"]).await?;
        ensure!(!wrong.success, "{wrong:?}");
        ensure!(wrong.stderr.contains("Usage: kubectl huly"), "{wrong:?}");
        Ok(())
    })
    .await
}

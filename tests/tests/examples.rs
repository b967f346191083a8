//! The programs of examples/tour print what docs/examples.md says, each with a network server of its
//! own.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use huly_tests::Example;

const TOUR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/tour");

fn documented(name: &str) -> Result<Vec<String>> {
    let mut all = Example::documented()?;
    all.remove(name)
        .with_context(|| format!("docs/examples.md does not say what {name} prints"))
}

/// Runs it to its end.
async fn prints_what_is_said(name: &str) -> Result<Example> {
    let mut example = Example::start(name).await?;
    assert_eq!(example.end().await?, documented(name)?);
    Ok(example)
}

#[test]
fn every_example_is_documented() -> Result<()> {
    let mut programs = BTreeSet::new();
    for entry in std::fs::read_dir(TOUR)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().and_then(|stem| stem.to_str());
            programs.insert(name.context("a name")?.replace('_', "-"));
        }
    }
    ensure!(programs.len() == 9, "{programs:?}");
    let documented: BTreeSet<String> = Example::documented()?.into_keys().collect();
    assert_eq!(programs, documented);

    // The table has them all: source, command, and a link to the output.
    let text = std::fs::read_to_string(Path::new(TOUR).join("../../docs/examples.md"))?;
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    ensure!(rows.len() == programs.len(), "{rows:?}");
    for name in programs {
        let source = format!("(../examples/tour/{}.rs)", name.replace('-', "_"));
        let command = format!("`cargo run -p tour --example {name}`");
        let row = rows.iter().find(|row| row.contains(&command));
        let row = row.with_context(|| format!("no row says {command}"))?;
        ensure!(row.contains(&source), "{row} does not name {source}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn request_response() -> Result<()> {
    prints_what_is_said("request-response").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn chat_room() -> Result<()> {
    prints_what_is_said("chat-room").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn high_availability() -> Result<()> {
    prints_what_is_said("high-availability").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn tenants() -> Result<()> {
    prints_what_is_said("tenants").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn timeouts() -> Result<()> {
    prints_what_is_said("timeouts").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn direct() -> Result<()> {
    let example = prints_what_is_said("direct").await?;
    // The server saw the one request that it says went through it.
    let metrics = example.server.metrics().await?;
    let seen = metrics.sum("huly_network_requests_total", &[("method", "cs")])?;
    ensure!(seen == 1.0, "{seen} requests went through the server");
    Ok(())
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn monitoring() -> Result<()> {
    prints_what_is_said("monitoring").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn retry() -> Result<()> {
    prints_what_is_said("retry").await.map(drop)
}

#[tokio::test]
#[ignore = "it needs the programs: cargo xtask test examples"]
async fn production() -> Result<()> {
    let mut example = Example::start("production").await?;
    example.prints("ready").await?;
    example.terminate()?;
    assert_eq!(example.end().await?, documented("production")?);
    // It left in order: nothing was lost.
    let metrics = example.server.metrics().await?;
    let lost = |reason| metrics.sum("huly_network_agents_lost_total", &[("reason", reason)]);
    ensure!(lost("AgentDraining")? == 3.0, "agents that left in order");
    ensure!(lost("ConnectionClosed")? == 0.0, "agents that were lost");
    Ok(())
}

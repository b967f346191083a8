//! The previous release's server, agent and client with the present ones: versions one release
//! apart work together, and each may be exchanged under the others.

use std::future::IntoFuture;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use huly_tests::Version::{Present, Previous};
use huly_tests::{Cli, SOON, Skewed, Version, eventually};
use serde_json::{Value, json};

/// Tells a story; the programs' logs are kept, and named, when it fails.
async fn told(
    mut network: Skewed,
    story: impl AsyncFnOnce(&mut Skewed) -> Result<()>,
) -> Result<()> {
    match story(&mut network).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let logs = network.keep_logs();
            Err(error.context(format!("the programs' logs are in {}", logs.display())))
        }
    }
}

async fn count(cli: &Cli, uuid: &str, flags: &[&str]) -> Result<u64> {
    let arguments = [&["request", uuid, "increment", r#"{"by": 1}"#], flags].concat();
    let answer = cli.json(&arguments).await?;
    answer["value"]
        .as_u64()
        .with_context(|| format!("a counter says {answer}"))
}

/// What a client does, by the command line of its version.
async fn a_clients_day(server: Version, agent: Version, client: Version) -> Result<()> {
    let network = Skewed::start(server, agent).await?;
    told(network, async |network| {
        let cli = network.cli(client)?;

        // Get, request both ways, what is listed.
        let mut counter = cli.begin(&["get", "counter", "--uuid", "c", "--hold"])?;
        counter.next().await?;
        ensure!(count(&cli, "c", &[]).await? == 1);
        ensure!(count(&cli, "c", &["--direct"]).await? == 2);
        // A flag that the previous release need not know.
        let present = network.cli(Present)?;
        ensure!(count(&present, "c", &["--idempotent"]).await? == 3);
        let agents = cli.json(&["agents"]).await?;
        ensure!(agents[0]["agentId"] == "agent-0", "{agents}");
        ensure!(agents[0]["huly"]["node"] == "node-0", "{agents}");
        let containers = cli.json(&["containers", "--kind", "counter"]).await?;
        ensure!(containers[0]["uuid"] == "c", "{containers}");
        let kinds = cli.json(&["kinds"]).await?.to_string();
        ensure!(kinds.contains("counter"), "{kinds}");

        // Failures keep their kinds.
        for (arguments, told) in [
            (["request", "c", "nonsense"].as_slice(), "unknown operation"),
            (&["request", "nobody", "value"], "no container"),
            (&["get", "no-kind"], "No suitable agents"),
        ] {
            let said = cli.says(arguments).await?;
            ensure!(!said.success && said.stderr.contains(told), "{said:?}");
        }

        // Events.
        let mut room = cli.begin(&["get", "chat-room", "--uuid", "r", "--hold"])?;
        room.next().await?;
        let mut events = cli.begin(&["watch", "--container", "r"])?;
        eventually(SOON, "the watch is connected", async || {
            let members = cli.json(&["request", "r", "members"]).await?;
            ensure!(
                members.as_array().is_some_and(|all| all.len() == 1),
                "{members}"
            );
            Ok(())
        })
        .await?;
        let said = r#"{"from": "me", "text": "hello"}"#;
        cli.json(&["request", "r", "say", said]).await?;
        while !events.next().await?.contains("hello") {}

        // What is released idles out, what is held does not.
        cli.json(&["get", "echo", "--uuid", "e"]).await?;
        let live = network.live().await?;
        live.until_gone("e", SOON).await?;
        ensure!(count(&cli, "c", &[]).await? == 4, "it was started again");
        counter.kill().await?;
        live.until_gone("c", SOON).await
    })
    .await
}

macro_rules! a_day_with {
    ($($name:ident: $server:ident, $agent:ident, $client:ident;)*) => {$(
        #[tokio::test]
        #[ignore = "it needs the previous release: cargo xtask test skew"]
        async fn $name() -> Result<()> {
            a_clients_day($server, $agent, $client).await
        }
    )*};
}

a_day_with! {
    a_previous_client: Present, Present, Previous;
    a_previous_agent: Present, Previous, Present;
    a_previous_agent_and_client: Present, Previous, Previous;
    a_previous_server: Previous, Present, Present;
    a_previous_server_and_client: Previous, Present, Previous;
    a_previous_server_and_agent: Previous, Previous, Present;
}

/// The server is exchanged under agents and clients of both versions.
async fn exchange_the_server(from: Version, to: Version) -> Result<()> {
    let network = Skewed::start(from, Previous).await?;
    told(network, async |network| {
        network.add_agent(Present).await?;
        let mut holders = Vec::new();
        let mut epochs = Vec::new();
        let live = network.live().await?;
        for (version, names) in [(Previous, ["a", "b"]), (Present, ["c", "d"])] {
            for name in names {
                let cli = network.cli(version)?;
                let mut holder = cli.begin(&["get", "counter", "--uuid", name, "--hold"])?;
                holder.next().await?;
                ensure!(live.increment(name, 1).await? == 1);
                epochs.push((name, live.epoch(name).await?));
                holders.push(holder);
            }
        }
        let echo = live.client().get("echo").uuid("e").await?;
        let long = json!({"ms": 1_500});
        let mut running = echo.request::<_, Value>("sleep", &long).into_future();
        ensure!(running.as_mut().now_or_never().is_none());
        // One that was sent later is answered: the long one runs.
        live.ask("e", "echo", &json!(1), SOON).await?;

        network.replace_server(to).await?;
        for (name, epoch) in &epochs {
            ensure!(
                live.increment(name, 1).await? == 2,
                "{name} was started again"
            );
            ensure!(live.epoch(name).await? == *epoch, "{name} was placed again");
        }
        ensure!(running.await? == json!({"slept": 1_500}));
        eventually(SOON, "the references are there again", async || {
            for (name, _) in &epochs {
                let references = live.references(name).await?;
                ensure!(references == 1, "{name} has {references}");
            }
            Ok(())
        })
        .await?;
        live.idle_out("counter", SOON).await?;
        for (name, _) in &epochs {
            ensure!(live.value(name).await? == 2, "{name} was started again");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs the previous release: cargo xtask test skew"]
async fn the_server_is_upgraded() -> Result<()> {
    exchange_the_server(Previous, Present).await
}

#[tokio::test]
#[ignore = "it needs the previous release: cargo xtask test skew"]
async fn the_server_is_rolled_back() -> Result<()> {
    exchange_the_server(Present, Previous).await
}

/// Agents are exchanged one for the other under a server.
async fn exchange_the_agent(server: Version, from: Version, to: Version) -> Result<()> {
    let network = Skewed::start(server, from).await?;
    told(network, async |network| {
        let live = network.live().await?;
        let counter = live.client().get("counter").uuid("c").await?;
        ensure!(live.increment("c", 5).await? == 5);
        network.add_agent(to).await?;
        network.agents[0].terminate().await?;
        ensure!(live.increment("c", 1).await? == 1, "it began anew");
        let placement = counter.placement().context("where it lives")?;
        ensure!(placement.agent_id == "agent-1", "{placement:?}");
        let agents = live.agents().await?;
        ensure!(agents.len() == 1, "{agents:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs the previous release: cargo xtask test skew"]
async fn agents_are_upgraded() -> Result<()> {
    exchange_the_agent(Present, Previous, Present).await?;
    exchange_the_agent(Previous, Previous, Present).await
}

#[tokio::test]
#[ignore = "it needs the previous release: cargo xtask test skew"]
async fn agents_are_rolled_back() -> Result<()> {
    exchange_the_agent(Present, Present, Previous).await?;
    exchange_the_agent(Previous, Present, Previous).await
}

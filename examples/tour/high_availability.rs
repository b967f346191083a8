//! High availability: each agent keeps a container of one uuid ready. One of them leads; when its
//! agent is killed, the next one does.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use clap::Parser;
use futures::StreamExt;
use huly_agent::{
    Activation, AgentHandle, AgentOptions, Call, Container, ContainerContext, ContainerError,
    HostPort, Json, Kinds, answer,
};
use huly_client::{Client, ContainerRef};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

const UUID: &str = "the-leader";

/// Until it is activated it stands by, and nobody reaches it.
struct Leader {
    context: ContainerContext,
    tasks: AtomicU32,
}

impl Leader {
    async fn new(context: ContainerContext) -> Result<Self, ContainerError> {
        println!("{} has a container ready", context.agent);
        let tasks = AtomicU32::new(0);
        Ok(Self { context, tasks })
    }
}

impl Container for Leader {
    /// Here it takes its work over: opens its files, reads what the last leader wrote.
    async fn activated(&self, _: Activation) -> Result<(), ContainerError> {
        println!("{} leads", self.context.agent);
        Ok(())
    }

    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "process" => {
                let done = self.tasks.fetch_add(1, Relaxed) + 1;
                let agent = &self.context.agent;
                answer(&format!("done by {agent}, which has done {done}"))
            }
            _ => Err(call.unknown(&["process"])),
        }
    }
}

/// Starts an agent and waits until its container stands by.
async fn start(network: &str, id: &str) -> Result<AgentHandle> {
    let mut options = AgentOptions::local(network).map_err(Error::msg)?;
    options.id = Some(id.to_owned());
    let agent = AgentHandle::start(options, Kinds::new().stateless("leader", UUID, Leader::new))?;
    agent.ready_within(Duration::from_secs(10)).await?;
    Ok(agent)
}

async fn process(leader: &ContainerRef, task: u32) -> Result<()> {
    // Idempotent: where the leader dies before it has answered, the next one is asked.
    let done: String = leader.request("process", &task).idempotent().await?;
    println!("task {task}: {done}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let primary = start(&network, "primary").await?;
    let client = Client::builder(&network).build();
    let leader = client.get("leader").uuid(UUID).await?;
    let secondary = start(&network, "secondary").await?;

    process(&leader, 1).await?;
    process(&leader, 2).await?;

    // Dropped, an agent ends as if its process had been killed.
    let mut held = client.held();
    println!("primary is killed");
    drop(primary);

    // Nobody need wait for that: requests do, by themselves.
    process(&leader, 3).await?;
    process(&leader, 4).await?;
    let moved = held.next().await.context("the client was closed")?;
    let placement = moved.placement.context("it lives nowhere")?;
    println!("the client was told: it lives at {}", placement.agent_id);

    leader.release().await?;
    client.close().await;
    secondary.leave().await
}

//! Monitoring: all that happens to agents and containers, as it happens.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::time::Duration;

use anyhow::{Error, Result};
use clap::Parser;
use futures::{Stream, StreamExt};
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerError, HostPort, Json, Kinds, answer,
};
use huly_client::protocol::{AgentFeedEvent, ContainerEvent, EventKind};
use huly_client::{Client, Update};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

const KIND: &str = "job";

struct Job;

impl Container for Job {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "work" => answer("done"),
            _ => Err(call.unknown(&["work"])),
        }
    }
}

fn start(network: &str, id: &str) -> Result<AgentHandle> {
    let mut options = AgentOptions::local(network).map_err(Error::msg)?;
    options.id = Some(id.to_owned());
    AgentHandle::start(options, Kinds::new().serve(KIND, |_| async { Ok(Job) }))
}

/// Shows what happens to the kind until an agent is gone.
async fn monitor(mut updates: impl Stream<Item = Update> + Unpin, last: &str) {
    let mut gone = false;
    while !gone && let Some(update) = updates.next().await {
        // Else a snapshot of what is there: at the beginning, and when the server has restarted.
        let Update::Event(happened) = update else {
            continue;
        };
        for AgentFeedEvent { event, agent } in happened.agents {
            if agent.kinds == [KIND] {
                let state = agent.huly.unwrap_or_default().state;
                println!("agent {}: {event:?}, {state}", agent.agent_id);
                gone |= event == EventKind::Removed && agent.agent_id == last;
            }
        }
        for ContainerEvent { event, container } in happened.containers {
            if container.kind == KIND {
                let labels = container.labels.unwrap_or_default().join(",");
                let (uuid, agent) = (container.uuid, container.agent_id);
                println!("container {uuid} ({labels}): {event:?}, at {agent}");
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let client = Client::builder(&network).build();
    client.ready_within(Duration::from_secs(10)).await?;

    // The feed begins with a snapshot, in pieces; what happens since follows.
    let mut updates = client.updates();
    while let Some(update) = updates.next().await {
        if let Update::Snapshot(piece) = update
            && piece.snapshot.is_some_and(|chunk| chunk.last)
        {
            break;
        }
    }
    let monitoring = tokio::spawn(monitor(updates, "worker-2"));

    let first = start(&network, "worker-1")?;
    first.ready_within(Duration::from_secs(10)).await?;
    let job = client.get(KIND).uuid("nightly").labels(["batch"]).await?;
    let second = start(&network, "worker-2")?;
    second.ready_within(Duration::from_secs(10)).await?;

    // An agent that is dropped ends as if it had been killed; its container moves.
    drop(first);
    let done: String = job.request("work", &()).idempotent().await?;
    anyhow::ensure!(done == "done", "the job says {done}");

    // One that leaves ends its containers first.
    job.release().await?;
    second.leave().await?;
    monitoring.await?;
    client.close().await;
    Ok(())
}

//! A production set-up: three agents, a client that monitors them, an orderly end at SIGTERM.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Error, Result};
use clap::Parser;
use futures::StreamExt;
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerContext, ContainerError, HostPort, Json,
    Kinds, answer,
};
use huly_client::protocol::EventKind;
use huly_client::{Client, Update};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

const KIND: &str = "orders";

struct Orders {
    context: ContainerContext,
}

impl Container for Orders {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "process" => answer(&format!("order {} is processed", call.read::<u32>()?)),
            _ => Err(call.unknown(&["process"])),
        }
    }

    /// Asked every few seconds: one that is not well is ended and placed again.
    async fn ping(&self) -> Result<(), ContainerError> {
        Ok(())
    }

    /// What is to be saved is saved here.
    async fn stop(&self) {
        tracing::info!(uuid = self.context.uuid, "the container ends");
    }
}

/// What serves the kind now; metrics and alarms would be fed from it.
#[derive(Default)]
struct Health {
    agents: BTreeSet<String>,
    /// Where each container lives.
    containers: BTreeMap<String, String>,
}

impl Health {
    fn learn(&mut self, update: Update) {
        let (Update::Snapshot(piece) | Update::Event(piece)) = update else {
            // All is told anew, as after a restart of the server.
            *self = Self::default();
            return;
        };
        for event in piece.agents {
            let agent = event.agent;
            match event.event {
                EventKind::Removed => self.agents.remove(&agent.agent_id),
                _ if agent.kinds == [KIND] => self.agents.insert(agent.agent_id),
                _ => false,
            };
        }
        for event in piece.containers {
            let it = event.container;
            match event.event {
                EventKind::Removed => self.containers.remove(&it.uuid),
                _ if it.kind == KIND => self.containers.insert(it.uuid, it.agent_id),
                _ => None,
            };
        }
    }
}

/// Starts an agent; in a cluster it would be a process of its own.
fn start(network: &str, id: String) -> Result<AgentHandle> {
    let mut options = AgentOptions::local(network).map_err(Error::msg)?;
    options.id = Some(id);
    let make = |context| async { Ok(Orders { context }) };
    AgentHandle::start(options, Kinds::new().serve(KIND, make))
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    // Logs go to standard error.
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    logs.with_ansi(false).init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // A program that cannot reach the network says so and ends: who started it starts it again.
    let client = Client::builder(&network).build();
    client.ready_within(Duration::from_secs(10)).await?;
    let (learn, mut health) = watch::channel(Health::default());
    let mut updates = client.updates();
    tokio::spawn(async move {
        while let Some(update) = updates.next().await {
            learn.send_modify(|health| health.learn(update));
        }
    });

    let agents: Vec<AgentHandle> = (1..=3)
        .map(|number| start(&network, format!("orders-agent-{number}")))
        .collect::<Result<_>>()?;
    let all = health
        .wait_for(|health| health.agents.len() == 3)
        .await?
        .agents
        .clone();
    println!("agents: {}", all.into_iter().collect::<Vec<_>>().join(", "));

    let mut queues = Vec::new();
    for number in 1..=3 {
        let queue = client.get(KIND).uuid(format!("orders-{number}")).await?;
        let done: String = queue.request("process", &(number * 100)).await?;
        println!("{}: {done}", queue.uuid());
        queues.push(queue);
    }
    let hosts = health
        .wait_for(|health| health.containers.len() == 3)
        .await?
        .containers
        .clone();
    let hosts: BTreeSet<String> = hosts.into_values().collect();
    println!("3 containers on {} agents", hosts.len());
    println!("ready");

    tokio::select! {
        _ = terminate.recv() => println!("SIGTERM: leaving"),
        _ = interrupt.recv() => println!("SIGINT: leaving"),
    }
    // What is under way is finished, nothing new is begun, all is given back.
    client.drain().await;
    for agent in agents {
        let id = agent.id().to_owned();
        agent.leave().await?;
        println!("{id} has left");
    }
    Ok(())
}

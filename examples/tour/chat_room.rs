//! Broadcast: a chat room tells all who are connected what one of them says.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use clap::Parser;
use futures::{Stream, StreamExt};
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerContext, ContainerError, HostPort, Json,
    Kinds, answer,
};
use huly_client::Client;

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

struct ChatRoom {
    context: ContainerContext,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: BTreeSet<String>,
    history: Vec<String>,
}

impl ChatRoom {
    /// Requests never run at the same instant: the lock is always free.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container for ChatRoom {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "say" => {
                let words: String = call.read()?;
                let text = format!("{}: {words}", call.client.unwrap_or_default());
                self.context.broadcast.send(&text)?;
                self.state().history.push(text);
                answer(&())
            }
            "history" => answer(&self.state().history),
            "members" => answer(&self.state().members),
            _ => Err(call.unknown(&["say", "history", "members"])),
        }
    }

    async fn connected(&self, client: &str) {
        self.state().members.insert(client.to_owned());
        let welcome = format!("welcome to {}, {client}", self.context.uuid);
        // It fails with what is no JSON alone.
        let _ = self.context.broadcast.send_to(client, &welcome);
    }

    async fn disconnected(&self, client: &str) {
        self.state().members.remove(client);
    }

    async fn stop(&self) {
        let _ = self.context.broadcast.send("the room is closed");
    }
}

/// Shows the next event that somebody hears.
async fn hear(name: &str, events: &mut (impl Stream<Item = Json> + Unpin)) -> Result<()> {
    let event = events.next().await.context("the connection ended")?;
    println!("{name} hears: {}", event.read::<String>()?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let kinds = Kinds::new().serve("lounge", |context| async {
        let state = Mutex::default();
        Ok(ChatRoom { context, state })
    });
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let agent = AgentHandle::start(options, kinds)?;
    agent.ready_within(Duration::from_secs(10)).await?;

    // Two clients get the same container by its uuid, and connect to it.
    let alice = Client::builder(&network).client_id("Alice").build();
    let general = alice
        .get("lounge")
        .uuid("general")
        .labels(["public"])
        .await?;
    let alices = general.connect().await?;
    let mut alice_hears = alices.events();
    hear("Alice", &mut alice_hears).await?;

    let bob = Client::builder(&network).client_id("Bob").build();
    let bobs = bob.get("lounge").uuid("general").await?.connect().await?;
    let mut bob_hears = bobs.events();
    hear("Bob", &mut bob_hears).await?;

    let () = alices.request("say", "Hello everyone!").await?;
    hear("Alice", &mut alice_hears).await?;
    hear("Bob", &mut bob_hears).await?;
    let () = bobs.request("say", "Hello Alice!").await?;
    hear("Alice", &mut alice_hears).await?;
    hear("Bob", &mut bob_hears).await?;

    // Requests need no connection.
    let history: Vec<String> = general.request("history", &()).await?;
    println!("history: {}", history.join(" / "));
    let members: Vec<String> = general.request("members", &()).await?;
    println!("members: {}", members.join(", "));

    // The room ends with its agent, and says so.
    agent.leave().await?;
    hear("Alice", &mut alice_hears).await?;
    hear("Bob", &mut bob_hears).await?;
    alice.close().await;
    bob.close().await;
    Ok(())
}

//! Broadcast: a chat room tells all who are connected what one of them says.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Error, Result};
use clap::Parser;
use futures::{Stream, StreamExt};
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerContext, ContainerError, HostPort, Json,
    Kinds, answer,
};
use huly_client::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// What members hear.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Welcome { text: String },
    Said { text: String },
    Closed,
}

impl ChatRoom {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, event: &Event) {
        // Only an event that is no JSON cannot be sent.
        let _ = self.context.broadcast.send(event);
    }
}

impl Container for ChatRoom {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "say" => {
                let words: String = call.read()?;
                let text = format!("{}: {words}", call.client.unwrap_or_default());
                self.with(|state| state.history.push(text.clone()));
                self.tell(&Event::Said { text });
                answer(&())
            }
            "history" => self.with(|state| answer(&state.history)),
            "members" => self.with(|state| answer(&state.members)),
            _ => Err(call.unknown(&["say", "history", "members"])),
        }
    }

    async fn connected(&self, client: &str) {
        self.with(|state| state.members.insert(client.to_owned()));
        let text = format!("welcome to {}, {client}", self.context.uuid);
        let _ = self
            .context
            .broadcast
            .send_to(client, &Event::Welcome { text });
    }

    async fn disconnected(&self, client: &str) {
        self.with(|state| state.members.remove(client));
    }

    async fn stop(&self) {
        self.tell(&Event::Closed);
    }
}

/// Shows the next event that somebody hears.
async fn hear(name: &str, events: &mut (impl Stream<Item = Json> + Unpin)) -> Result<()> {
    let event = events.next().await.context("the connection ended")?;
    match event.read()? {
        Event::Welcome { text } | Event::Said { text } => println!("{name} hears: {text}"),
        Event::Closed => println!("{name} hears that the room is closed"),
    }
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
    agent.ready().await?;

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
    println!("history: {}", json!(history));
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

//! Request and response: a container that keeps values under keys, and a client that asks it.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Error, Result};
use clap::Parser;
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerError, HostPort, Json, Kinds, answer,
};
use huly_client::Client;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

/// A container: its state is its own, requests are what others know of it.
#[derive(Default)]
struct Store {
    values: Mutex<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: Value,
}

impl Container for Store {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        // Requests of a container never run at the same instant: the lock is always free.
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        match call.operation.as_str() {
            "store" => {
                let Entry { key, value } = call.read()?;
                answer(&json!({ "replaced": values.insert(key, value) }))
            }
            "retrieve" => answer(&values.get(&call.read::<String>()?)),
            "delete" => answer(&values.remove(&call.read::<String>()?).is_some()),
            "list" => answer(&values.keys().collect::<Vec<_>>()),
            _ => Err(call.unknown(&["store", "retrieve", "delete", "list"])),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();

    // An agent hosts containers: of which kinds, and how one is made.
    let kinds = Kinds::new().serve("store", |_| async { Ok(Store::default()) });
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let agent = AgentHandle::start(options, kinds)?;
    agent.ready_within(Duration::from_secs(10)).await?;

    // A client gets the container of a uuid, which is started if it does not live yet.
    let client = Client::builder(&network).build();
    let store = client.get("store").uuid("settings").await?;

    // Answers are read as any type that the caller expects.
    let red = json!({ "key": "colour", "value": "red" });
    let stored: Value = store.request("store", &red).await?;
    println!("store colour: {stored}");
    let size = json!({ "key": "size", "value": { "width": 3, "height": 4 } });
    let stored: Value = store.request("store", &size).await?;
    println!("store size: {stored}");
    let keys: Vec<String> = store.request("list", &()).await?;
    println!("list: {}", keys.join(", "));
    let colour: Option<String> = store.request("retrieve", "colour").await?;
    println!("retrieve colour: {colour:?}");
    let deleted: bool = store.request("delete", "colour").await?;
    println!("delete colour: {deleted}");
    let colour: Option<String> = store.request("retrieve", "colour").await?;
    println!("retrieve colour: {colour:?}");
    let refused = store.request::<_, Value>("paint", &()).await;
    if let Err(error) = refused {
        println!("paint: {error}");
    }

    // Given back; nobody holds it any more, so it ends after a while.
    store.release().await?;
    client.close().await;
    agent.leave().await
}

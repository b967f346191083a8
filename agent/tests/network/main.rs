//! Agents and their containers in the network of a test.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod chain;
mod cuts;
mod errors;
mod life;
mod own_router;
mod serial;
mod story;
mod times;

use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use huly_agent::testing::huly_client::protocol::KindSpec;
use huly_agent::testing::huly_client::{Client, ErrorKind};
use huly_agent::testing::{Agents, Network};
use huly_agent::{
    Call, Container, ContainerContext, ContainerError, ErrorCode, Json, Kinds, answer,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Counts, says so, and takes its time where it is told to.
struct Counter {
    context: ContainerContext,
    value: Mutex<u64>,
}

impl Container for Counter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "increment" => {
                let value = {
                    let mut value = self.value.lock().unwrap();
                    *value += 1;
                    *value
                };
                self.context.broadcast.send(&value)?;
                answer(&value)
            }
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(call.read()?)).await;
                answer(&())
            }
            "agent" => answer(&self.context.agent),
            _ => Err(call.unknown(&["increment", "sleep", "agent"])),
        }
    }
}

fn kinds() -> Kinds {
    Kinds::new().serve("counter", |context| async {
        Ok(Counter {
            context,
            value: Mutex::default(),
        })
    })
}

async fn uuids(client: &Client) -> Vec<String> {
    let all = client.containers(None).await.unwrap();
    all.into_iter().map(|record| record.uuid).collect()
}

#[tokio::test]
async fn a_container_answers_and_tells_in_no_time() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    let mut events = connection.events();
    assert!(connection.is_direct());
    let direct: u64 = connection.request("increment", &()).await.unwrap();
    let routed: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!((direct, routed), (1, 2));
    for expected in ["1", "2"] {
        assert_eq!(events.next().await.unwrap().text(), expected);
    }
    assert_eq!(network.now(), Duration::ZERO);
    let () = counter.request("sleep", &250).await.unwrap();
    assert_eq!(network.now(), 250 * MS);
}

#[tokio::test]
async fn an_id_is_one_agents() {
    let network = Network::new();
    let first = network.agent("a1", kinds()).await.unwrap();
    let error = network.agent("a1", kinds()).await.unwrap_err();
    assert!(error.to_string().contains("a1"), "{error}");
    let client = network.client("c1");
    client.get("counter").uuid("visits").await.unwrap();
    first.leave().await.unwrap();
    assert!(client.agents().await.unwrap().is_empty());
    network.agent("a1", kinds()).await.unwrap();
}

#[tokio::test]
async fn labels_are_what_a_kind_selects_agents_by() {
    let network = Network::new();
    let spec = serde_json::from_value(json!({
        "kind": "counter", "revision": 1, "agentSelector": { "matchLabels": { "zone": "b" } },
    }));
    network.set_kind(spec.unwrap()).await.unwrap();
    let _a = network
        .agent("a", kinds())
        .label("zone", "a")
        .await
        .unwrap();
    let _b = network
        .agent("b", kinds())
        .label("zone", "b")
        .await
        .unwrap();
    let client = network.client("c1");
    for _ in 0..2 {
        let counter = client.get("counter").new_container().await.unwrap();
        assert_eq!(counter.placement().unwrap().agent_id, "b");
    }
}

#[tokio::test]
async fn the_feed_tells_what_happens() {
    let network = Network::new();
    let client = network.client("c1");
    let mut updates = client.updates();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let mut told = String::new();
    while !told.contains("a1") {
        told = format!("{:?}", updates.next().await.unwrap());
    }
    assert_eq!(network.now(), Duration::ZERO);
}

#[tokio::test]
async fn an_operation_that_is_not_there_says_so() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let counter = network.client("c1").get("counter").await.unwrap();
    let error = counter.request::<_, Value>("nope", &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadRequest);
}

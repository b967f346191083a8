//! The demonstration kinds, in a network of their own.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use futures::StreamExt;
use huly_agent::testing::huly_client::ContainerRef;
use huly_agent::testing::{Agent, Agents, Network};
use huly_example_kinds::kinds;
use serde_json::{Value, json};

/// A network with an agent and a container that a client holds.
struct Stage {
    network: Network,
    container: ContainerRef,
    _agent: Agent,
}

impl Stage {
    async fn of(kind: &str) -> Self {
        let network = Network::new();
        let agent = network.agent("a", kinds()).await.unwrap();
        let get = network.client("c1").get(kind).uuid("u");
        Self {
            container: get.await.unwrap(),
            network,
            _agent: agent,
        }
    }

    async fn ask(&self, operation: &str, data: Value) -> Value {
        self.container.request(operation, &data).await.unwrap()
    }

    async fn fails(&self, operation: &str, data: Value) -> String {
        let result = self.container.request::<_, Value>(operation, &data).await;
        result.unwrap_err().message
    }
}

#[tokio::test]
async fn echo_answers_what_it_was_sent() {
    let echo = Stage::of("echo").await;
    let answer = echo.ask("echo", json!({ "x": [1] })).await;
    assert_eq!(answer, json!({ "x": [1] }));
    let who = echo.ask("who", json!(null)).await;
    assert_eq!((&who["uuid"], &who["agent"]), (&json!("u"), &json!("a")));
    let slept = echo.ask("sleep", json!({ "ms": 20_000 })).await;
    assert_eq!(slept, json!({ "slept": 20_000 }));
    assert_eq!(echo.network.now(), Duration::from_secs(20));
    assert_eq!(echo.fails("fail", json!({ "message": "so" })).await, "so");
    let unknown = echo.fails("nope", json!(1)).await;
    assert_eq!(
        unknown,
        r#"unknown operation "nope"; known: echo, who, sleep, fail, panic"#
    );
}

#[tokio::test]
async fn an_echo_that_panicked_is_placed_anew() {
    let echo = Stage::of("echo").await;
    let before = echo.ask("who", json!(null)).await;
    let panic = echo.fails("panic", json!(1)).await;
    assert!(panic.contains("panicked"), "{panic}");
    let after = echo.ask("who", json!(null)).await;
    assert_ne!(before["epoch"], after["epoch"]);
}

#[tokio::test]
async fn counter_keeps_its_value() {
    let counter = Stage::of("counter").await;
    for (data, value) in [(json!(null), 1), (json!({}), 2), (json!({ "by": -5 }), -3)] {
        let answer = counter.ask("increment", data).await;
        assert_eq!(answer, json!({ "value": value }));
    }
    // As long as it is held, also by a server that knows nothing.
    counter.network.restart_server();
    counter.network.advance(Duration::from_secs(600)).await;
    let answer = counter.ask("value", json!(null)).await;
    assert_eq!(answer, json!({ "value": -3 }));
    let wrong = counter.fails("increment", json!("x")).await;
    assert!(wrong.contains("increment"), "{wrong}");
}

#[tokio::test]
async fn what_one_says_in_a_chat_room_all_hear() {
    let room = Stage::of("chat-room").await;
    let connection = room.container.connect().await.unwrap();
    let mut events = connection.events();
    let said = room.ask("say", json!({ "text": "hi" })).await;
    assert_eq!(said, json!({ "id": 1 }));
    let said = room
        .ask("say", json!({ "from": "Ann", "text": "ho" }))
        .await;
    assert_eq!(said, json!({ "id": 2 }));
    let first: Value = events.next().await.unwrap().read().unwrap();
    assert_eq!(
        first,
        json!({ "type": "said", "id": 1, "from": "c1", "text": "hi" })
    );
    let second: Value = events.next().await.unwrap().read().unwrap();
    assert_eq!(second["from"], "Ann");
    assert_eq!(room.ask("members", json!(null)).await, json!(["c1"]));
    connection.close().await;
    room.network.settle().await;
    assert_eq!(room.ask("members", json!(null)).await, json!([]));
    let history = room.ask("history", json!(null)).await;
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert!(room.fails("say", json!({})).await.contains("text"));
}

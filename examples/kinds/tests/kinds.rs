//! The demonstration kinds, each alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use huly_agent::ContainerError;
use huly_agent::testing::Solo;
use huly_example_kinds::kinds;
use serde_json::{Value, json};

async fn start(kind: &str) -> Solo {
    Solo::start(&kinds(), kind, "u").await.unwrap()
}

async fn fails(solo: &mut Solo, operation: &str, data: Value) -> String {
    let result: Result<Value, ContainerError> = solo.request(operation, &data).await;
    result.unwrap_err().message().to_owned()
}

#[tokio::test]
async fn echo_answers_what_it_was_sent() {
    let mut echo = start("echo").await;
    let answer: Value = echo.request("echo", &json!({ "x": [1] })).await.unwrap();
    assert_eq!(answer, json!({ "x": [1] }));
    let who: Value = echo.request("who", &()).await.unwrap();
    assert_eq!(
        (&who["uuid"], &who["agent"]),
        (&json!("u"), &json!("testing"))
    );
    let slept: Value = echo.request("sleep", &json!({ "ms": 1 })).await.unwrap();
    assert_eq!(slept, json!({ "slept": 1 }));
    assert_eq!(
        fails(&mut echo, "fail", json!({ "message": "so" })).await,
        "so"
    );
    let unknown = fails(&mut echo, "nope", json!(1)).await;
    assert_eq!(
        unknown,
        r#"unknown operation "nope"; known: echo, who, sleep, fail, panic"#
    );
    let panic = fails(&mut echo, "panic", json!(1)).await;
    assert!(panic.contains("panicked"), "{panic}");
}

#[tokio::test]
async fn counter_keeps_its_value() {
    let mut counter = start("counter").await;
    for (data, value) in [(json!(null), 1), (json!({}), 2), (json!({ "by": -5 }), -3)] {
        let answer: Value = counter.request("increment", &data).await.unwrap();
        assert_eq!(answer, json!({ "value": value }));
    }
    let answer: Value = counter.request("value", &()).await.unwrap();
    assert_eq!(answer, json!({ "value": -3 }));
    let wrong = fails(&mut counter, "increment", json!("x")).await;
    assert!(wrong.contains("increment"), "{wrong}");
    counter.stop().await.unwrap();
}

#[tokio::test]
async fn what_one_says_in_a_chat_room_all_hear() {
    let mut room = start("chat-room").await;
    room.connect("c1");
    let hi = json!({ "text": "hi" });
    let said: Value = room.request_as(Some("c1"), "say", &hi).await.unwrap();
    assert_eq!(said, json!({ "id": 1 }));
    let said: Value = room
        .request("say", &json!({ "from": "Ann", "text": "ho" }))
        .await
        .unwrap();
    assert_eq!(said, json!({ "id": 2 }));
    let first: Value = room.event().await.unwrap();
    assert_eq!(
        first,
        json!({ "type": "said", "id": 1, "from": "c1", "text": "hi" })
    );
    let second: Value = room.event().await.unwrap();
    assert_eq!(second["from"], "Ann");
    let members: Value = room.request("members", &()).await.unwrap();
    assert_eq!(members, json!(["c1"]));
    room.disconnect("c1");
    let members: Value = room.request("members", &()).await.unwrap();
    assert_eq!(members, json!([]));
    let history: Vec<Value> = room.request("history", &()).await.unwrap();
    assert_eq!(history.len(), 2);
    assert!(fails(&mut room, "say", json!({})).await.contains("text"));
}

//! A container with a ROUTER of its own: the method is the operation.

use futures::StreamExt;
use huly_client::{Connection, ContainerRef};
use huly_protocol::{Frame, Op, Request};
use serde_json::{Value, json};

use crate::fake::{FakeServer, From, Persona};
use crate::holding;

const CONTAINER: Persona = Persona {
    session: "container-session",
    instance: "container-instance",
    term: 0,
};

/// A network server, a container, and a client with a connection to it.
async fn connected() -> (FakeServer, FakeServer, ContainerRef, Connection) {
    let mut server = FakeServer::start().await;
    let mut container = FakeServer::start().await;
    let (_, port) = container.address.rsplit_once(':').expect("a port");
    let endpoint = json!({
        "kind": 1, "host": "127.0.0.1", "port": port.parse::<u16>().expect("a port"),
        "agentId": "a", "uuid": "c-1", "epoch": [1_000, 1],
    });
    let placement = json!({"kind": "room", "agentId": "a", "epoch": [1_000, 1]});
    let answer = json!(["c-1", endpoint.to_string(), placement]);
    let (_client, room) = holding(&mut server, "room", answer).await;
    let connecting = tokio::spawn({
        let room = room.clone();
        async move { room.connect().await }
    });
    container.welcome(&CONTAINER).await;
    let connection = connecting.await.expect("no panic").expect("a connection");
    assert!(connection.is_direct(), "it waits until it is");
    (server, container, room, connection)
}

fn payload(request: &From) -> Value {
    serde_json::from_slice(&request.frame.payload).expect("JSON")
}

#[tokio::test]
async fn requests_are_operations_and_events_have_no_uuid() {
    let (_server, mut container, _room, connection) = connected().await;
    let mut events = connection.events();
    let asking = tokio::spawn(async move {
        let answer = connection.request::<_, u32>("a \"b\"", &21).await;
        (answer, connection)
    });
    let request = container.request("a \"b\"").await;
    let sent = payload(&request);
    assert_eq!((&sent[0], &sent[1]), (&json!("a \"b\""), &json!(21)));
    assert!(sent[2]["timeoutMs"].as_u64().is_some(), "{sent}");
    container.answer(&request, json!(42)).await;
    let (answer, _connection) = asking.await.expect("no panic");
    assert_eq!(answer.expect("an answer"), 42);
    let event = Frame::new(Op::Event, "", r#"["c-1","is data"]"#);
    container.send(&request.peer, event).await;
    let event = events.next().await.expect("an event");
    assert_eq!(event.text(), r#"["c-1","is data"]"#);
}

#[tokio::test]
async fn a_cut_operation_goes_through_the_server_under_the_same_id() {
    let (mut server, mut container, _room, connection) = connected().await;
    let asking = tokio::spawn(async move { connection.request::<_, u32>("double", &21).await });
    let cut = container.request("double").await;
    let _container = container.restart().await;
    let routed = server.request("cs").await;
    assert_eq!(routed.frame.id, cut.frame.id);
    let request = Request::read(&routed.frame.payload).expect("a request");
    let params: Value = serde_json::from_str(request.params.get()).expect("JSON");
    assert_eq!(params[0], "c-1");
    assert_eq!(
        params[3]["epoch"],
        json!([1_000, 1]),
        "the life that was asked"
    );
    server.answer(&routed, json!(42)).await;
    assert_eq!(asking.await.expect("no panic").expect("an answer"), 42);
}

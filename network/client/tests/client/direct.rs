//! Direct connections: requests, events, the other way when one is cut, following a container.

use std::sync::Arc;

use futures::StreamExt;
use huly_client::{Client, Connection, ContainerRef, ErrorKind};
use huly_protocol::{Frame, Op};
use serde_json::json;

use crate::fake::{FIRST, FakeServer, Persona};
use crate::holding;

const AGENT: Persona = Persona {
    session: "agent-session",
    instance: "agent-instance",
    term: 0,
};

fn endpoint(agent: &FakeServer, epoch: u64) -> String {
    let port: u16 = agent
        .address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    json!({
        "kind": 0, "host": "127.0.0.1", "port": port, "agentId": "a", "uuid": "c-1",
        "epoch": [1000, epoch],
    })
    .to_string()
}

/// A network server, an agent, and a client with a direct connection to a container of it.
pub(crate) async fn connected() -> (FakeServer, FakeServer, Client, ContainerRef, Connection) {
    let mut server = FakeServer::start().await;
    let mut agent = FakeServer::start().await;
    let answer = json!(["c-1", endpoint(&agent, 1), null]);
    let (client, room) = holding(&mut server, "chat-room", answer).await;
    let connecting = tokio::spawn({
        let room = room.clone();
        async move { room.connect().await }
    });
    agent.welcome(&AGENT).await;
    let connect = agent.request("cc").await;
    assert_eq!(connect.params(), json!({"uuid": ["c-1"]}));
    agent.answer(&connect, json!(1)).await;
    let connection = connecting.await.expect("no panic").expect("a connection");
    assert!(connection.is_direct());
    (server, agent, client, room, connection)
}

#[tokio::test]
async fn requests_and_events_go_directly() {
    let (_server, mut agent, _client, _room, connection) = connected().await;
    let mut events = connection.events();
    let connection = Arc::new(connection);
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request::<_, u32>("double", &21).await }
    });
    let request = agent.request("cs").await;
    assert_eq!(request.asked().0, json!(["c-1", "double", 21]));
    agent.answer(&request, json!(42)).await;
    assert_eq!(asking.await.expect("no panic").expect("an answer"), 42);
    for (uuid, data) in [("c-2", "not ours"), ("c-1", "hello")] {
        let payload = json!([uuid, data]).to_string().into_bytes();
        let event = Frame::new(Op::Event, "", payload);
        agent.send(&request.peer, event).await;
    }
    let event = events.next().await.expect("an event");
    assert_eq!(event.text(), "\"hello\"");
}

/// Sends an event of the container, and waits until the client has it.
async fn event_has_come(agent: &mut FakeServer, connection: &Arc<Connection>, data: u32) {
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request::<_, u32>("double", &1).await }
    });
    let request = agent.request("cs").await;
    let payload = json!(["c-1", data]).to_string().into_bytes();
    let event = Frame::new(Op::Event, "", payload);
    agent.send(&request.peer, event).await;
    agent.answer(&request, json!(2)).await;
    asking.await.expect("no panic").expect("an answer");
}

#[tokio::test]
async fn a_container_may_greet_who_connects() {
    let (_server, mut agent, _client, _room, connection) = connected().await;
    let connection = Arc::new(connection);
    for data in 1..=70 {
        event_has_come(&mut agent, &connection, data).await;
    }
    let mut first = connection.events();
    let mut second = connection.events();
    event_has_come(&mut agent, &connection, 71).await;
    // What nobody listens to is not kept for ever.
    for data in 7..=71 {
        assert_eq!(
            first.next().await.expect("an event").text(),
            data.to_string()
        );
    }
    assert_eq!(second.next().await.expect("an event").text(), "71");
    // Who comes when nobody listens any more is not the first.
    drop((first, second));
    event_has_come(&mut agent, &connection, 72).await;
    let mut third = connection.events();
    event_has_come(&mut agent, &connection, 73).await;
    assert_eq!(third.next().await.expect("an event").text(), "73");
}

#[tokio::test]
async fn a_cut_request_goes_through_the_server_under_the_same_id() {
    let (mut server, mut agent, _client, _room, connection) = connected().await;
    let asking = tokio::spawn(async move { connection.request::<_, u32>("double", &21).await });
    let cut = agent.request("cs").await;
    let _agent = agent.restart().await;
    let routed = server.request("cs").await;
    assert_eq!(routed.frame.id, cut.frame.id);
    let (asked, ext) = routed.asked();
    assert_eq!(asked, json!(["c-1", "double", 21]));
    assert_eq!(ext["epoch"], json!([1_000, 1]), "the life that was asked");
    server.answer(&routed, json!(42)).await;
    assert_eq!(asking.await.expect("no panic").expect("an answer"), 42);
}

#[tokio::test]
async fn events_are_asked_for_again_after_a_reconnect() {
    let (_server, agent, _client, _room, connection) = connected().await;
    let mut events = connection.events();
    let mut agent = agent.restart().await;
    agent.welcome(&AGENT).await;
    let connect = agent.request("cc").await;
    assert_eq!(connect.params(), json!({"uuid": ["c-1"]}));
    agent.answer(&connect, json!(1)).await;
    let event = Frame::new(Op::Event, "", json!(["c-1", 7]).to_string().into_bytes());
    agent.send(&connect.peer, event).await;
    assert_eq!(events.next().await.expect("an event").text(), "7");
}

#[tokio::test]
async fn connecting_follows_a_container_that_moves_meanwhile() {
    let mut server = FakeServer::start().await;
    let dead = FakeServer::start().await;
    let gone = endpoint(&dead, 1);
    dead.end().await;
    let client = server.client().build();
    let getting = tokio::spawn({
        let client = client.clone();
        async move { client.get("chat-room").uuid("c-1").await }
    });
    server.welcome(&FIRST).await;
    let get = server.request("gg").await;
    server.answer(&get, json!(["c-1", gone, null])).await;
    let room = getting.await.expect("no panic").expect("a container");
    let connecting = tokio::spawn(async move { room.connect().await });
    let mut agent = FakeServer::start().await;
    let moved = json!({"held": [{"uuid": "c-1", "event": 1, "endpoint": endpoint(&agent, 2)}]});
    let event = Frame::new(Op::Event, "", moved.to_string().into_bytes());
    server.send(&get.peer, event).await;
    agent.welcome(&AGENT).await;
    let connect = agent.request("cc").await;
    agent.answer(&connect, json!(1)).await;
    let connection = connecting.await.expect("no panic").expect("a connection");
    assert!(connection.is_direct());
}

#[tokio::test]
async fn an_agents_refusal_is_told() {
    let (_server, mut agent, _client, room, first) = connected().await;
    let connecting = tokio::spawn(async move { room.connect().await });
    let connect = agent.request("cc").await;
    let refusal = json!({"message": "not you", "stack": "", "code": "notAllowed"});
    let frame = Frame::new(
        Op::ResponseError,
        connect.frame.id.clone(),
        refusal.to_string().into_bytes(),
    );
    agent.send(&connect.peer, frame).await;
    let error = connecting.await.expect("no panic").expect_err("refused");
    assert_eq!(error.kind, ErrorKind::NotAllowed);
    assert_eq!(error.message, "not you");
    first.close().await;
}

#[tokio::test]
async fn it_follows_the_container_to_another_agent() {
    let (mut server, mut old, client, room, connection) = connected().await;
    let mut events = connection.events();
    let mut new = FakeServer::start().await;
    let hello = tokio::spawn(async move { client.kinds().await });
    let kinds = server.request("ak").await;
    let moved = json!({"held": [{
        "uuid": "c-1", "event": 1, "endpoint": endpoint(&new, 2),
        "placement": {"kind": "chat-room", "agentId": "b", "epoch": [1000, 2]},
    }]});
    let event = Frame::new(Op::Event, "", moved.to_string().into_bytes());
    server.send(&kinds.peer, event).await;
    server.answer(&kinds, json!([])).await;
    hello.await.expect("no panic").expect("kinds");
    let (left, arrived) = tokio::join!(old.next(), async {
        new.welcome(&AGENT).await;
        let connect = new.request("cc").await;
        new.answer(&connect, json!(1)).await;
        connect
    });
    let said_goodbye = left.frame.op == Op::Close || left.method() == "cd";
    assert!(said_goodbye, "{:?}", left.frame);
    let event = Frame::new(
        Op::Event,
        "",
        json!(["c-1", "here"]).to_string().into_bytes(),
    );
    new.send(&arrived.peer, event).await;
    assert_eq!(events.next().await.expect("an event").text(), "\"here\"");
    assert_eq!(room.placement().expect("a placement").agent_id, "b");
    drop(connection);
    assert!(
        events.next().await.is_none(),
        "the stream ends with the connection"
    );
}

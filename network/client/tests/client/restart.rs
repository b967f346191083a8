//! What goes on when the network server is another process, and what begins again.

use futures::StreamExt;
use huly_client::Update;
use huly_protocol::{Frame, Op};
use serde_json::json;

use crate::direct::connected;
use crate::fake::{FIRST, FakeServer, Persona};
use crate::feed::feed;

const SECOND: Persona = Persona {
    session: "session-2",
    instance: "instance-2",
    term: 2_000,
};

#[tokio::test]
async fn the_feed_begins_again() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let mut updates = client.updates();
    for persona in [FIRST, SECOND] {
        server.welcome(&persona).await;
        let watch = server.request("xw").await;
        let position = json!({"instance": persona.instance, "revision": 1, "settled": true});
        server.answer(&watch, position.clone()).await;
        let mut snapshot = position;
        snapshot["snapshot"] = json!({"chunk": 0, "last": true});
        feed(&mut server, &watch, snapshot).await;
        assert_eq!(updates.next().await, Some(Update::Reset));
        match updates.next().await {
            Some(Update::Snapshot(piece)) => assert_eq!(piece.instance, persona.instance),
            other => panic!("{other:?}"),
        }
        server = server.restart().await;
    }
}

#[tokio::test]
async fn a_direct_connection_goes_on_without_a_server() {
    let (server, mut agent, _client, _room, connection) = connected().await;
    server.end().await;
    let mut events = connection.events();
    let asking = tokio::spawn(async move {
        let answer = connection.request::<_, u32>("double", &21).await;
        (answer, connection)
    });
    let request = agent.request("cs").await;
    let said = json!(["c-1", "said"]).to_string().into_bytes();
    let event = Frame::new(Op::Event, "", said);
    agent.send(&request.peer, event).await;
    agent.answer(&request, json!(42)).await;
    let (answer, connection) = asking.await.expect("no panic");
    assert_eq!(answer.expect("an answer"), 42);
    assert!(connection.is_direct());
    assert_eq!(events.next().await.expect("an event").text(), "\"said\"");
}

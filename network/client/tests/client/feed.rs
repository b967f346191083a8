//! The feed and the operator's calls.

use futures::StreamExt;
use huly_client::Update;
use huly_protocol::{Frame, Op};
use serde_json::{Value, json};

use crate::fake::{FIRST, FakeServer, From};

pub(crate) async fn feed(server: &mut FakeServer, to: &From, piece: Value) {
    let payload = json!({ "feed": piece }).to_string().into_bytes();
    server
        .send(&to.peer, Frame::new(Op::Event, "", payload))
        .await;
}

fn piece(revision: u64, snapshot: Value) -> Value {
    let mut piece = json!({"instance": "instance-1", "revision": revision, "settled": true});
    if !snapshot.is_null() {
        piece["snapshot"] = snapshot;
    }
    piece
}

#[tokio::test]
async fn a_gap_in_the_feed_begins_a_new_snapshot() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let mut updates = client.updates();
    server.welcome(&FIRST).await;
    let watch = server.request("xw").await;
    server.answer(&watch, piece(4, Value::Null)).await;
    feed(
        &mut server,
        &watch,
        piece(4, json!({"chunk": 0, "last": false})),
    )
    .await;
    feed(
        &mut server,
        &watch,
        piece(4, json!({"chunk": 1, "last": true})),
    )
    .await;
    feed(&mut server, &watch, piece(5, Value::Null)).await;
    feed(&mut server, &watch, piece(7, Value::Null)).await;
    let again = server.request("xw").await;
    server.answer(&again, piece(7, Value::Null)).await;
    feed(
        &mut server,
        &again,
        piece(7, json!({"chunk": 0, "last": true})),
    )
    .await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(match updates.next().await.expect("an update") {
            Update::Reset => "reset".to_owned(),
            Update::Snapshot(event) => format!("snapshot {}", event.revision),
            Update::Event(event) => format!("event {}", event.revision),
        });
    }
    let expected = [
        "reset",
        "snapshot 4",
        "snapshot 4",
        "event 5",
        "reset",
        "snapshot 7",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_sync_comes_in_chunks_of_one_name() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let uuids: Vec<String> = (0..2_500).map(|n| format!("c-{n}")).collect();
    let syncing = tokio::spawn(async move { client.sync(uuids).await });
    server.welcome(&FIRST).await;
    let mut names = Vec::new();
    for (size, last) in [(1_000, false), (1_000, false), (500, true)] {
        let part = server.request("xs").await;
        let params = part.params();
        assert_eq!(params["uuids"].as_array().expect("uuids").len(), size);
        assert_eq!(params["last"], json!(last));
        names.push(params["sync"].clone());
        let answer = match last {
            true => json!({"released": ["x"], "missing": ["c-7"]}),
            false => json!({}),
        };
        server.answer(&part, answer).await;
    }
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0], names[2]);
    let synced = syncing.await.expect("no panic").expect("a sync");
    assert_eq!(synced.released, ["x"]);
    assert_eq!(synced.missing, ["c-7"]);
}

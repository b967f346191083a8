//! Draining, and what a client says of itself: that it is ready, how far the server is.

use std::time::Duration;

use futures::FutureExt;
use huly_client::{Client, ErrorKind, Operation};
use huly_protocol::{Frame, Op};
use serde_json::json;

use crate::fake::{FIRST, FakeServer};
use crate::{got, holding};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn draining_waits_for_what_is_under_way_and_takes_nothing_new() {
    let mut server = FakeServer::start().await;
    let (client, held) = holding(&mut server, "echo", got("c-1")).await;
    let asking = tokio::spawn({
        let held = held.clone();
        async move { held.request::<_, u32>("double", &21).await }
    });
    let request = server.request("cs").await;

    let mut draining = Box::pin(client.drain());
    assert!(draining.as_mut().now_or_never().is_none());
    let refused = [
        client.get("echo").await.err(),
        client.kinds().await.err(),
        held.request::<_, u32>("double", &1).await.err(),
        client.ping().await.err(),
    ];
    for error in refused {
        let error = error.expect("nothing new is taken");
        assert_eq!(error.kind, ErrorKind::Closed);
        assert!(error.to_string().ends_with(": the client is draining"));
    }
    assert!(draining.as_mut().now_or_never().is_none());

    server.answer(&request, json!(42)).await;
    assert_eq!(asking.await.expect("no panic").expect("an answer"), 42);
    let (left, ()) = tokio::join!(
        async {
            let left = server.next().await;
            let bye = Frame::new(Op::AskHello, "instance-1", "");
            server.send(&left.peer, bye).await;
            left
        },
        draining
    );
    assert_eq!(left.frame.op, Op::Close);
    let closed = client.kinds().await.expect_err("closed");
    assert_eq!(closed.kind, ErrorKind::Closed);
}

#[tokio::test]
async fn a_release_is_waited_for_as_long_as_any_call_and_happens_all_the_same() {
    let mut server = FakeServer::start().await;
    let client = server.client().request_timeout(PATIENCE / 20).build();
    let getting = tokio::spawn(async move { client.get("echo").uuid("c-1").await });
    server.welcome(&FIRST).await;
    let get = server.request("gg").await;
    server.answer(&get, got("c-1")).await;
    let held = getting.await.expect("no panic").expect("a container");
    let released = tokio::spawn(held.release());
    let release = server.request("cr").await;
    let late = released.await.expect("no panic").expect_err("no answer");
    assert_eq!(
        (late.kind, late.operation),
        (ErrorKind::TimedOut, Operation::Release)
    );
    server.answer(&release, json!("ok")).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_holds_no_draining_up() {
    let client = Client::builder("127.0.0.1:1").build();
    let mut asking = Box::pin(client.kinds());
    assert!(asking.as_mut().now_or_never().is_none());
    let mut draining = Box::pin(client.drain());
    assert!(draining.as_mut().now_or_never().is_none());
    drop(asking);
    let drained = tokio::time::timeout(PATIENCE, draining).await;
    drained.expect("drained");
}

#[tokio::test]
async fn who_waits_for_the_server_is_told_why_not() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let late = client.ready_within(Duration::from_millis(10)).await;
    let late = late.expect_err("nobody answered the hello");
    assert_eq!(
        (late.kind, late.operation),
        (ErrorKind::TimedOut, Operation::Ready)
    );
    assert!(late.message.ends_with(&server.address), "{late}");
    let hello = server.welcome(&FIRST).await;
    client.ready_within(PATIENCE).await.expect("ready");
    let text = r#"{"superseded":"by another process"}"#;
    let event = Frame::new(Op::Event, "", text);
    server.send(&hello.peer, event).await;
    let mut session = client.session();
    let told = session.wait_for(|state| state.superseded.is_some()).await;
    drop(told.expect("told before the end"));
    let over = client.ready_within(PATIENCE).await;
    assert_eq!(over.expect_err("superseded").kind, ErrorKind::Superseded);
}

#[tokio::test]
async fn a_ping_is_as_long_as_its_answer_takes() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let pinging = tokio::spawn(async move { client.ping().await });
    server.welcome(&FIRST).await;
    let asked = server.request("ak").await;
    let held_back = Duration::from_millis(20);
    tokio::time::sleep(held_back).await;
    server.answer(&asked, json!([])).await;
    let took = pinging.await.expect("no panic").expect("an answer");
    assert!(took >= held_back, "{took:?}");
}

#[tokio::test]
async fn requests_carry_their_deadline_and_errors_what_failed() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let asking = tokio::spawn(async move {
        let asked = client.request::<_, u32>("c-1", "double", &21);
        asked.deadline(Duration::from_secs(2)).await
    });
    server.welcome(&FIRST).await;
    let request = server.request("cs").await;
    let (asked, ext) = request.asked();
    assert_eq!(asked, json!(["c-1", "double", 21]));
    assert!(ext["timeoutMs"].as_u64().is_some_and(|left| left <= 2_000));
    let refusal = json!({"message": "too large", "stack": "", "code": "failed"});
    let id = request.frame.id.clone();
    let frame = Frame::new(Op::ResponseError, id, refusal.to_string().into_bytes());
    server.send(&request.peer, frame).await;
    let error = asking.await.expect("no panic").expect_err("refused");
    assert_eq!(
        (error.operation, error.kind),
        (Operation::Request, ErrorKind::Failed)
    );
    assert_eq!(error.to_string(), "request: too large");
}

#[tokio::test]
async fn detaching_says_so_and_closes_nothing() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let kinds = tokio::spawn({
        let client = client.clone();
        async move { client.kinds().await }
    });
    server.welcome(&FIRST).await;
    let asked = server.request("ak").await;
    server.answer(&asked, json!([])).await;
    kinds.await.expect("no panic").expect("kinds");
    let detaching = tokio::spawn(async move { client.detach().await });
    let detach = server.request("xd").await;
    server.answer(&detach, json!("ok")).await;
    detaching.await.expect("no panic");
    // The next message is another client's.
    let _other = server.client().client_id("client-2").build();
    let next = server.welcome(&FIRST).await;
    assert_eq!(next.frame.id, "client-2");
}

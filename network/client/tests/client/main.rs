//! The client against ROUTERs that the test plays the network server and agents with.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod connect;
mod direct;
mod documented;
mod fake;
mod feed;
mod leave;
mod original;
mod own_router;
mod restart;

use std::time::Duration;

use fake::{FIRST, FakeServer, Persona};
use huly_client::{Client, ContainerRef, ErrorKind, LinkEvent};
use huly_protocol::{AgentRegistration, Frame, Hello, Op};
use serde_json::json;

pub(crate) fn got(uuid: &str) -> serde_json::Value {
    let endpoint = json!({"kind": 2, "host": "", "port": 0, "agentId": "a"}).to_string();
    json!([uuid, endpoint, {"kind": "echo", "agentId": "a", "epoch": [1000, 1]}])
}

/// A client of a server that holds the container `c-1`, of whose get that is the answer.
pub(crate) async fn holding(
    server: &mut FakeServer,
    kind: &'static str,
    answer: serde_json::Value,
) -> (Client, ContainerRef) {
    let client = server.client().build();
    let getting = tokio::spawn({
        let client = client.clone();
        async move { client.get(kind).uuid("c-1").await }
    });
    server.welcome(&FIRST).await;
    let get = server.request("gg").await;
    server.answer(&get, answer).await;
    let held = getting.await.expect("no panic").expect("a container");
    (client, held)
}

#[tokio::test]
async fn gets_requests_releases() {
    let mut server = FakeServer::start().await;
    let client = server.client();
    let client = client.alive_timeout(Duration::from_secs(3_600)).build();
    let calls = tokio::spawn(async move {
        let room = client.get("echo").uuid("c-1").await?;
        assert_eq!(room.uuid(), "c-1");
        assert_eq!(room.placement().expect("a placement").agent_id, "a");
        let answer: String = room.request("say", &"hello").await?;
        room.release().await?;
        client.close().await;
        Ok::<_, huly_client::Error>(answer)
    });
    let hello = server.welcome(&FIRST).await;
    assert_eq!(hello.frame.id, "client-1");
    let said: Hello = serde_json::from_slice(&hello.frame.payload).expect("a hello");
    assert!(said.huly.is_some());
    assert_eq!(said.alive_timeout, Some(3_600.0));
    let get = server.request("gg").await;
    assert_eq!(
        get.params(),
        json!({"kind": "echo", "request": {"uuid": "c-1"}})
    );
    server.answer(&get, got("c-1")).await;
    let request = server.request("cs").await;
    let (asked, ext) = request.asked();
    assert_eq!(asked, json!(["c-1", "say", "hello"]));
    assert!(ext["timeoutMs"].as_u64().is_some_and(|left| left <= 30_000));
    server.answer(&request, json!("hello yourself")).await;
    let release = server.request("cr").await;
    assert_eq!(release.params(), json!({"uuid": "c-1"}));
    server.answer(&release, json!("ok")).await;
    assert_eq!(server.next().await.frame.op, Op::Close);
    server
        .send(&release.peer, Frame::new(Op::AskHello, "instance-1", ""))
        .await;
    let answer = calls.await.expect("no panic").expect("no error");
    assert_eq!(answer, "hello yourself");
}

#[tokio::test]
async fn a_dropped_handle_is_released() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let getting = tokio::spawn({
        let client = client.clone();
        async move { client.get("echo").await }
    });
    server.welcome(&FIRST).await;
    let get = server.request("gg").await;
    server.answer(&get, got("c-7")).await;
    let held = getting.await.expect("no panic").expect("a container");
    let again = held.clone();
    drop(held);
    drop(again);
    let release = server.request("cr").await;
    assert_eq!(release.params(), json!({"uuid": "c-7"}));
}

#[tokio::test]
async fn a_get_that_nobody_waits_for_is_released() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let getting = tokio::spawn({
        let client = client.clone();
        async move { client.get("echo").await }
    });
    server.welcome(&FIRST).await;
    let get = server.request("gg").await;
    getting.abort();
    assert!(getting.await.expect_err("aborted").is_cancelled());
    server.answer(&get, got("c-9")).await;
    let release = server.request("cr").await;
    assert_eq!(release.params(), json!({"uuid": "c-9"}));
}

#[tokio::test]
async fn pending_requests_are_sent_again_over_the_next_connection() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.kinds().await }
    });
    let first = server.welcome(&FIRST).await;
    let lost = server.request("ak").await;
    let mut server = server.restart().await;
    let second = server.welcome(&FIRST).await;
    assert_ne!(first.peer, second.peer);
    assert_eq!(
        first.frame.payload.len() > 2,
        second.frame.payload.len() > 2
    );
    let again = server.request("ak").await;
    assert_eq!(again.frame.id, lost.frame.id, "the same request id");
    server.answer(&again, json!(["echo"])).await;
    let kinds = asking.await.expect("no panic").expect("kinds");
    assert_eq!(kinds, ["echo"]);
    assert_eq!(client.resent(), 1);
    assert_eq!(
        client.session().borrow().generation,
        1,
        "not a fresh session"
    );
}

#[tokio::test]
async fn a_fresh_session_is_told_of_references_first() {
    let mut server = FakeServer::start().await;
    let (client, held) = holding(&mut server, "echo", got("c-1")).await;
    let mut server = server.restart().await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.kinds().await }
    });
    let second = Persona {
        session: "session-2",
        instance: "instance-2",
        term: 2_000,
    };
    server.welcome(&second).await;
    let assertion = server.request("xr").await;
    let expected = json!({"gets": [{
        "uuid": "c-1", "kind": "echo", "request": {"uuid": "c-1"}, "durable": false,
        "epoch": [1000, 1], "agentId": "a", "failovers": 0,
    }]});
    assert_eq!(assertion.params(), expected);
    let moved = json!([["c-1", "elsewhere", {"kind": "echo", "agentId": "b"}]]);
    server.answer(&assertion, moved).await;
    let kinds = server.request("ak").await;
    server.answer(&kinds, json!([])).await;
    asking.await.expect("no panic").expect("kinds");
    assert_eq!(held.endpoint(), "elsewhere");
    assert_eq!(held.placement().expect("a placement").agent_id, "b");
}

#[tokio::test]
async fn ask_hello_and_retry_are_obeyed() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let asking = tokio::spawn(async move { client.kinds().await });
    let hello = server.welcome(&FIRST).await;
    let request = server.request("ak").await;
    let retry = Frame::new(Op::Retry, request.frame.id.clone(), "1");
    server.send(&request.peer, retry).await;
    let again = server.welcome(&FIRST).await;
    assert_eq!(again.peer, hello.peer, "over the same connection");
    let request = server.request("ak").await;
    let ask = Frame::new(Op::AskHello, "instance-1", "");
    server.send(&request.peer, ask).await;
    server.welcome(&FIRST).await;
    let request = server.request("ak").await;
    server.answer(&request, json!(["a", "b"])).await;
    let kinds = asking.await.expect("no panic").expect("kinds");
    assert_eq!(kinds, ["a", "b"]);
}

#[tokio::test]
async fn a_superseded_client_says_so() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let hello = server.welcome(&FIRST).await;
    let event = Frame::new(Op::Event, "", r#"{"superseded":"by another process"}"#);
    server.send(&hello.peer, event).await;
    let mut session = client.session();
    let told = session.wait_for(|state| state.superseded.is_some()).await;
    assert!(!told.expect("told before the end").up);
    let error = client.kinds().await.expect_err("superseded");
    assert_eq!(error.kind, ErrorKind::Superseded);
    assert_eq!(error.message, "by another process");
}

#[tokio::test]
async fn an_agent_registers_leases_and_answers() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let mut link = client.serve_agent();
    server.welcome(&FIRST).await;
    assert!(matches!(
        link.events.recv().await,
        Some(LinkEvent::Term(1_000))
    ));
    assert!(matches!(
        link.events.recv().await,
        Some(LinkEvent::Register)
    ));
    let number = link.register(AgentRegistration {
        uuid: "agent-1".into(),
        containers: Vec::new(),
        kinds: vec!["echo".into()],
        endpoint: None,
        huly: None,
    });
    let registration = server.request("ar").await;
    assert_eq!(registration.params()["uuid"], json!("agent-1"));
    server.answer(&registration, json!(["c-1"])).await;
    let mut end = None;
    let mut lease = None;
    while end.is_none() || lease.is_none() {
        match link.events.recv().await {
            Some(LinkEvent::Server { original }) => assert!(!original && end.is_none()),
            Some(LinkEvent::Registered {
                registration: of,
                end: told,
            }) => {
                assert_eq!(of, number);
                end = Some(told);
            }
            Some(LinkEvent::Lease { until, .. }) => lease = Some(until),
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(end.expect("an answer"), ["c-1"]);
    let left = lease
        .expect("a lease")
        .saturating_sub(huly_client::boot_clock());
    assert!(left <= Duration::from_secs(1));
    let call = Frame::new(
        Op::Request,
        "instance-1-1",
        json!(["cs", ["agent-1", ["c-2", "op", 1], {"epoch": [1, 2]}]])
            .to_string()
            .into_bytes(),
    );
    server.send(&registration.peer, call.clone()).await;
    let call_seen = loop {
        match link.events.recv().await {
            Some(LinkEvent::Call(call)) => break call,
            Some(LinkEvent::Lease { .. }) => {}
            other => panic!("unexpected: {other:?}"),
        }
    };
    assert_eq!(call_seen.params.text(), r#"["c-2","op",1]"#);
    assert_eq!(
        call_seen.ext.expect("an extension").text(),
        r#"{"epoch":[1,2]}"#
    );
    call_seen
        .responder
        .answer(Ok(huly_client::Json::of(&42).expect("JSON")));
    let answer = server.next().await;
    assert_eq!(answer.frame, Frame::new(Op::Response, "instance-1-1", "42"));
    // Sent again, it is answered again and does not run again.
    server.send(&registration.peer, call).await;
    let answer = server.next().await;
    assert_eq!(answer.frame, Frame::new(Op::Response, "instance-1-1", "42"));
}

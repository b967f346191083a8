use super::*;
use crate::core::{Audience, Id, Observed};

fn bad(rig: &Rig) -> Vec<&'static str> {
    let reason = |effect: &Effect| match effect {
        Effect::Observed(Observed::BadMessage { reason }) => Some(*reason),
        _ => None,
    };
    rig.out.iter().filter_map(reason).collect()
}

fn event(rig: &mut Rig, run: Run, data: Value) -> Vec<(String, Frame)> {
    rig.input(Input::Event {
        run,
        to: Audience::All,
        data: Json::of(&data).unwrap(),
    });
    rig.sent()
}

#[test]
fn typescript_clients_get_what_they_know_and_no_more() {
    let mut rig = Rig::registered();
    let sent = rig.message("x", Op::Hello, "c1", r#"{"aliveTimeout":3}"#);
    assert_eq!(sent[0].1.op, Op::Hello);
    assert!(sent[0].1.payload.is_empty());
    let uuid = &sent[0].1.id;
    let pong = rig.message("x", Op::Ping, "", "");
    assert_eq!(
        pong,
        [("x".to_owned(), Frame::new(Op::Pong, uuid.clone(), ""))]
    );
    let error = rig.message("x", Op::Request, "r1", r#"["cs",["none","do",1]]"#);
    assert_eq!(error[0].1.op, Op::ResponseError);
    let payload: Value = serde_json::from_slice(&error[0].1.payload).unwrap();
    assert_eq!(
        payload,
        json!({ "message": "there is no container none", "stack": "" })
    );
}

#[test]
fn rust_clients_are_told_the_limits_and_codes() {
    let mut rig = Rig::registered();
    let sent = rig.message(
        "x",
        Op::Hello,
        "c1",
        r#"{"aliveTimeout":3,"huly":{"v":1,"nonce":"n"}}"#,
    );
    let answer: Value = serde_json::from_slice(&sent[0].1.payload).unwrap();
    assert_eq!(answer["limits"]["requestsInFlight"], 4_096);
    let pong = rig.message("x", Op::Ping, "", "17");
    assert_eq!(pong[0].1.payload_text(), "17");
    let error = rig.message("x", Op::Request, "r1", r#"["cs",["none","do",1]]"#);
    let payload: Value = serde_json::from_slice(&error[0].1.payload).unwrap();
    assert_eq!(payload["code"], "noSuchContainer");
}

#[test]
fn unknown_connections_are_asked_who_they_are() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let sent = rig.message("x", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    assert_eq!(sent[0].1, Frame::new(Op::Retry, "r1", "1"));
    assert_eq!(sent[1].1.op, Op::AskHello);
    let sent = rig.message("x", Op::Ping, "", "");
    assert_eq!((sent[0].1.op, sent[1].1.op), (Op::Pong, Op::AskHello));
    assert!(rig.dispatched().is_empty());
}

#[test]
fn a_typescript_client_over_a_new_connection_sends_again_and_a_rust_one_need_not_be_told() {
    let mut rig = Rig::registered();
    let first = rig.hello("x", "c1");
    assert_eq!(rig.hello("x", "c1"), first, "the same connection");
    assert_ne!(rig.hello("y", "c1"), first, "another one");
    let rust = r#"{"huly":{"v":1,"nonce":"n"}}"#;
    let one = rig.message("p", Op::Hello, "c2", rust)[0].1.id.clone();
    let two = rig.message("q", Op::Hello, "c2", rust)[0].1.id.clone();
    assert_eq!(one, two);
    let other = r#"{"huly":{"v":1,"nonce":"m"}}"#;
    assert_ne!(rig.message("r", Op::Hello, "c2", other)[0].1.id, one);
}

#[test]
fn an_answer_goes_to_the_connection_of_the_day() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.hello("x", "c1");
    rig.message("x", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    rig.input(Input::Closed {
        conn: at_agent("x"),
    });
    rig.hello("y", "c1");
    rig.message("y", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    assert_eq!(rig.dispatched().len(), 1, "it runs already");
    let call = rig.dispatched()[0].1;
    rig.input(Input::Answered {
        call,
        result: ok(json!("a")),
    });
    let sent = rig.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, "y");
}

#[test]
fn events_reach_the_connected_also_after_a_reconnect() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.hello("x", "c1");
    let sent = rig.message("x", Op::Request, "r1", r#"["cc",{"uuid":["u","none"]}]"#);
    assert_eq!(sent[0].1.payload_text(), "1");
    assert!(rig.has(|e| matches!(e, Effect::Connected { client, .. } if **client == *"c1")));
    let sent = event(&mut rig, run, json!({ "n": 1 }));
    assert_eq!(sent[0].1, Frame::new(Op::Event, "", r#"["u",{"n":1}]"#));
    rig.input(Input::Closed {
        conn: at_agent("x"),
    });
    assert!(event(&mut rig, run, json!(2)).is_empty());
    // Silent for longer than its alive timeout, then back: it does not say `cc` again (W27).
    rig.pass_leased(4_000 * MS);
    assert!(rig.has(|e| matches!(e, Effect::Disconnected { .. })));
    rig.out.clear();
    rig.hello("y", "c1");
    assert!(rig.has(|e| matches!(e, Effect::Connected { .. })));
    assert_eq!(event(&mut rig, run, json!(3))[0].0, "y");
    rig.message("y", Op::Request, "r2", r#"["cd",{"uuid":"u"}]"#);
    assert!(event(&mut rig, run, json!(4)).is_empty());
}

#[test]
fn close_and_the_containers_end_disconnect() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.hello("x", "c1");
    rig.message("x", Op::Request, "r1", r#"["cc",{"uuid":"u"}]"#);
    rig.message("x", Op::Close, "", "");
    assert_eq!(rig.agent.figures().clients, 0);
    rig.hello("x", "c1");
    assert!(event(&mut rig, run, json!(1)).is_empty());
    rig.message("x", Op::Request, "r2", r#"["cc",{"uuid":"u"}]"#);
    rig.ended(run, EndReport::ByItself);
    let run = rig.living("u", 2);
    assert!(event(&mut rig, run, json!(2)).is_empty());
}

#[test]
fn an_event_may_be_for_one_client() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    for (conn, client) in [("x", "c1"), ("y", "c2")] {
        rig.hello(conn, client);
        rig.message(conn, Op::Request, "r1", r#"["cc",{"uuid":"u"}]"#);
    }
    rig.input(Input::Event {
        run,
        to: Audience::Client(Id::from("c2")),
        data: Json::null(),
    });
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, "y"));
}

#[test]
fn clients_that_are_away_are_bounded() {
    let mut rig = Rig::with(|config| config.absent_clients = 2);
    rig.register_and_renew();
    rig.living("u", 1);
    for number in 0..5 {
        let conn = format!("x{number}");
        rig.hello(&conn, &format!("c{number}"));
        rig.message(&conn, Op::Request, "r1", r#"["cc",{"uuid":"u"}]"#);
    }
    rig.pass_leased(5_000 * MS);
    assert_eq!(rig.agent.doors.agent().absent(), 2);
    assert_eq!(rig.agent.figures().clients, 0);
}

#[test]
fn what_is_not_the_protocol_is_counted_and_answered_where_it_can_be() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.hello("x", "c1");
    for payload in [
        "",
        "{",
        "[]",
        "[1]",
        r#"["cs"]"#,
        r#"["cs",["u"]]"#,
        r#"["zz",{}]"#,
    ] {
        let sent = rig.message("x", Op::Request, "r1", payload);
        assert_eq!(sent.len(), 1, "{payload}");
        assert_eq!(sent[0].1.op, Op::ResponseError, "{payload}");
    }
    rig.out.clear();
    for (op, payload) in [
        (Op::Response, "1"),
        (Op::ResponseError, "{}"),
        (Op::Pong, ""),
        (Op::AskHello, ""),
        (Op::Retry, "1"),
        (Op::Event, "{}"),
        (Op::Hello, "not json"),
    ] {
        assert!(rig.message("x", op, "id", payload).is_empty(), "{op}");
    }
    assert_eq!(bad(&rig).len(), 7);
    rig.input(Input::Unreadable {
        reason: "id_too_long",
    });
    assert_eq!(bad(&rig).last(), Some(&"id_too_long"));
    // Everybody is served on.
    rig.message("x", Op::Request, "r9", r#"["cs",["u","do",1]]"#);
    assert_eq!(rig.dispatched().len(), 1);
}

/// Pieces of what peers say, put together at random.
fn payload() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        Just(r#"["cs",["u","do",1]]"#.to_owned()),
        Just(r#"["cs",["none","do",null,4]]"#.to_owned()),
        Just(r#"["cc",{"uuid":["u","u"]}]"#.to_owned()),
        Just(r#"["cc",{"uuid":"u"}]"#.to_owned()),
        Just(r#"["cd",{"uuid":"u"}]"#.to_owned()),
        Just(r#"{"aliveTimeout":-1e300}"#.to_owned()),
        Just(r#"{"aliveTimeout":1e300,"huly":{"v":9,"nonce":"n"}}"#.to_owned()),
        Just(r#"{"huly":{"v":1,"nonce":""}}"#.to_owned()),
        Just(String::new()),
        ".{0,20}",
    ];
    piece.boxed()
}

proptest::proptest! {
    /// Whatever anybody sends: nothing panics, figures stay sane, and a good client is served.
    #[test]
    fn any_messages_disturb_nobody(
        messages in proptest::collection::vec(
            (0u8..3, proptest::bool::ANY, 0usize..10, "[a-c]{1,2}", payload()),
            1..80,
        ),
        closed in 0u8..3,
    ) {
        let mut rig = Rig::registered();
        let run = rig.living("u", 1);
        let own = rig.living_with_router("v", 2);
        for (conn, at_own, op, id, payload) in messages {
            let door = if at_own { Door::Container(own) } else { Door::Agent };
            rig.message_at(door, &format!("x{conn}"), Op::ALL[op], &id, &payload);
            event(&mut rig, run, json!(1));
            event(&mut rig, own, json!(1));
            rig.pass_leased(100 * MS);
        }
        for door in [Door::Agent, Door::Container(own)] {
            let name = Bytes::from(format!("x{closed}"));
            rig.input(Input::Closed { conn: Conn { door, name } });
        }
        // All are forgotten in the end, or remembered as away within their bound.
        rig.hello("good", "good");
        rig.out.clear();
        rig.message("good", Op::Request, "r", r#"["cs",["u","do",7]]"#);
        let dispatched = rig.dispatched();
        proptest::prop_assert_eq!(dispatched.len(), 1);
        let call = dispatched[0].1;
        rig.input(Input::Answered { call, result: ok(json!(7)) });
        let sent = rig.sent();
        proptest::prop_assert_eq!(&sent[0].1, &Frame::new(Op::Response, "r", "7"));
        for _ in 0..40 {
            rig.pass_leased(1_000 * MS);
            rig.message("good", Op::Ping, "", "");
        }
        proptest::prop_assert!(rig.agent.figures().clients >= 1);
        proptest::prop_assert_eq!(rig.agent.figures().waiting, 0);
    }
}

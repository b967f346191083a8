//! Containers with a ROUTER of their own.

use huly_protocol::{Endpoint, EndpointKind};

use super::*;

const HELLO: &str = r#"{"aliveTimeout":3}"#;
const RUST_HELLO: &str = r#"{"aliveTimeout":60,"huly":{"v":1,"nonce":"n"}}"#;

/// A container with a client `c1` on its ROUTER, over the connection `x`.
fn connected(hello: &str) -> (Rig, Run, Door) {
    let mut rig = Rig::registered();
    let run = rig.living_with_router("u", 1);
    let door = Door::Container(run);
    let sent = rig.message_at(door, "x", Op::Hello, "c1", hello);
    assert_eq!((sent.len(), sent[0].1.op), (1, Op::Hello));
    (rig, run, door)
}

fn has_connected(rig: &Rig, client: &str) -> bool {
    rig.has(|effect| matches!(effect, Effect::Connected { client: who, .. } if **who == *client))
}

fn has_disconnected(rig: &Rig, client: &str) -> bool {
    rig.has(|effect| matches!(effect, Effect::Disconnected { client: who, .. } if **who == *client))
}

#[test]
fn its_endpoint_is_its_own_wherever_it_is_told() {
    let mut rig = Rig::registered();
    let token = rig.get("u", 1);
    let run = rig.last_start();
    rig.input(Input::Opened { run, port: 4_000 });
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    let told = rig.answer(token).unwrap()[1].as_str().unwrap().to_owned();
    let endpoint = Endpoint::parse(&told).unwrap();
    assert_eq!(
        (endpoint.kind, endpoint.port),
        (EndpointKind::Direct, 4_000)
    );
    assert_eq!(
        (endpoint.host.as_str(), endpoint.agent_id.as_str()),
        ("10.0.0.1", "agent-1")
    );
    assert_eq!(endpoint.uuid.as_deref(), Some("u"));
    assert_eq!(endpoint.epoch, Some((10, 1).into()));
    rig.input(Input::Register);
    assert_eq!(rig.registrations()[0].containers[0].endpoint, told);
}

#[test]
fn the_method_is_the_operation_whatever_its_name() {
    let (mut rig, run, door) = connected(HELLO);
    for (number, operation) in ["do", "cs", "cc", "cd", "a \"b\""].into_iter().enumerate() {
        let payload = json!([operation, { "n": number }]).to_string();
        assert!(
            rig.message_at(door, "x", Op::Request, &format!("r{number}"), &payload)
                .is_empty()
        );
        let (of, call, data) = rig.dispatched()[0].clone();
        assert_eq!((of, data), (run, json!({ "n": number })));
        assert!(rig.has(|effect| matches!(
            effect,
            Effect::Dispatch { asked, .. }
                if asked.operation == operation && asked.client.as_deref() == Some("c1")
        )));
        rig.out.clear();
        rig.input(Input::Answered {
            call,
            result: ok(json!(number)),
        });
        let sent = rig.sent();
        assert_eq!(
            sent[0].1,
            Frame::new(Op::Response, format!("r{number}"), number.to_string())
        );
    }
    // It can be asked through the server as well.
    rig.request("u", json!(1), "routed");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_request_that_takes_the_other_way_runs_once() {
    let (mut rig, _, door) = connected(RUST_HELLO);
    rig.message_at(
        door,
        "x",
        Op::Request,
        "r1",
        r#"["do",1,{"timeoutMs":5000}]"#,
    );
    let call = rig.dispatched()[0].1;
    let conn = Conn {
        door,
        name: Bytes::from_static(b"x"),
    };
    rig.input(Input::Closed { conn });
    let routed = rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
    rig.input(Input::Answered {
        call,
        result: ok(json!("a")),
    });
    assert_eq!(rig.answer(routed), Ok(json!("a")));
}

#[test]
fn who_says_hello_is_connected_and_gets_bare_events() {
    let (mut rig, run, door) = connected(HELLO);
    assert!(has_connected(&rig, "c1"));
    rig.message_at(door, "y", Op::Hello, "c2", HELLO);
    let event = |rig: &mut Rig, to: Audience| {
        let data = Json::of(&json!({ "n": 1 })).unwrap();
        rig.input(Input::Event { run, to, data });
        rig.sent()
    };
    let sent = event(&mut rig, Audience::All);
    let bare = Frame::new(Op::Event, "", r#"{"n":1}"#);
    assert_eq!(
        sent,
        [("x".to_owned(), bare.clone()), ("y".to_owned(), bare)]
    );
    let sent = event(&mut rig, Audience::Client("c2".into()));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, "y");
    rig.message_at(door, "y", Op::Close, "", "");
    assert!(has_disconnected(&rig, "c2"));
    // One that is silent for longer than its alive timeout is gone, and new when it comes back.
    rig.out.clear();
    rig.pass_leased(4_000 * MS);
    assert!(has_disconnected(&rig, "c1"));
    assert_eq!(rig.agent.figures().clients, 0);
    rig.out.clear();
    rig.message_at(door, "z", Op::Hello, "c1", HELLO);
    assert!(has_connected(&rig, "c1"));
}

#[test]
fn the_two_ways_to_a_client_are_two_sessions() {
    let (mut rig, run, door) = connected(RUST_HELLO);
    rig.rust_hello("x", "c1");
    rig.message("x", Op::Request, "r1", r#"["cc",{"uuid":"u"}]"#);
    let data = Json::of(&json!(7)).unwrap();
    rig.input(Input::Event {
        run,
        to: Audience::All,
        data,
    });
    let payloads: Vec<String> = rig
        .sent()
        .into_iter()
        .map(|(_, frame)| frame.payload_text().into_owned())
        .collect();
    assert_eq!(payloads, [r#"["u",7]"#, "7"]);
    rig.message("x", Op::Close, "", "");
    let sent = rig.message_at(door, "x", Op::Ping, "", "5");
    assert_eq!((sent.len(), sent[0].1.op), (1, Op::Pong));
}

#[test]
fn clients_that_came_while_it_started_are_told_of_and_served_then() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let run = rig.last_start();
    rig.input(Input::Opened { run, port: 4_000 });
    let door = Door::Container(run);
    rig.message_at(door, "x", Op::Hello, "c1", HELLO);
    rig.message_at(door, "x", Op::Request, "r1", r#"["do",1]"#);
    assert!(!has_connected(&rig, "c1") && rig.dispatched().is_empty());
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    assert!(has_connected(&rig, "c1"));
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn its_router_closes_after_the_last_answer_and_is_of_one_life() {
    let (mut rig, run, door) = connected(RUST_HELLO);
    let hello = rig.message_at(door, "x", Op::Hello, "c1", RUST_HELLO);
    let answer =
        |sent: &[(String, Frame)]| -> Value { serde_json::from_slice(&sent[0].1.payload).unwrap() };
    let instance = |sent| answer(sent)["instance"].clone();
    assert_eq!(answer(&hello)["container"], "u");
    rig.message_at(door, "x", Op::Request, "r1", r#"["do",1]"#);
    rig.call("ct", json!(["u"]), Value::Null);
    let sent = rig.message_at(door, "x", Op::Request, "r2", r#"["do",1]"#);
    assert_eq!(sent_code(&sent), ErrorCode::Gone);
    rig.out.clear();
    rig.ended(run, EndReport::Stopped);
    let order: Vec<bool> = rig
        .out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { .. } => Some(false),
            Effect::CloseDoor { run: of } => Some(*of == run),
            _ => None,
        })
        .collect();
    assert_eq!(order, [false, true]);
    rig.out.clear();
    assert!(rig.message_at(door, "x", Op::Ping, "", "").is_empty());
    let next = Door::Container(rig.living_with_router("u", 2));
    let again = rig.message_at(next, "x", Op::Hello, "c1", RUST_HELLO);
    assert_ne!(instance(&again), instance(&hello));
}

#[test]
fn its_bounds_are_those_of_the_agents_router() {
    let mut rig = Rig::with(|config| config.requests_in_flight = 2);
    rig.register_and_renew();
    let run = rig.living_with_router("u", 1);
    let door = Door::Container(run);
    let sent = rig.message_at(door, "x", Op::Request, "r0", r#"["do",1]"#);
    let ops: Vec<Op> = sent.iter().map(|(_, frame)| frame.op).collect();
    assert_eq!(ops, [Op::Retry, Op::AskHello], "it has not said hello");
    rig.message_at(door, "x", Op::Hello, "c1", RUST_HELLO);
    rig.message_at(door, "y", Op::Hello, "c2", HELLO);
    for conn in ["x", "y"] {
        for request in ["r1", "r2"] {
            let sent = rig.message_at(door, conn, Op::Request, request, r#"["do",1]"#);
            assert!(sent.is_empty());
        }
    }
    let sent = rig.message_at(door, "x", Op::Request, "r3", r#"["do",1]"#);
    assert_eq!(sent_code(&sent), ErrorCode::Busy);
    let sent = rig.message_at(door, "y", Op::Request, "r3", r#"["do",1]"#);
    assert_eq!(sent[0].1.op, Op::Retry);
}

#[test]
fn without_a_lease_it_is_asked_nothing() {
    let (mut rig, _, door) = connected(RUST_HELLO);
    rig.pause(5_000 * MS);
    rig.message_at(
        door,
        "x",
        Op::Request,
        "r1",
        r#"["do",1,{"timeoutMs":2000}]"#,
    );
    assert!(rig.dispatched().is_empty());
    rig.pass(2_000 * MS);
    assert_eq!(sent_code(&rig.sent()), ErrorCode::TimedOut);
    rig.message_at(door, "x", Op::Request, "r2", r#"["do",2]"#);
    rig.register_and_renew_out();
    assert_eq!(rig.dispatched().len(), 1);
}

//! A container's own ROUTER: the method is the operation.

use huly_protocol::{ErrorCode, Frame, Op};
use huly_session::{Call, Config, Effect, Input, Peer};
use serde_json::json;

use crate::rig::{Rig, config, ended, hello_answer, hello_answer_of, json_of, sent};

fn container() -> Rig {
    let config = Config {
        peer: Peer::Container,
        ..config()
    };
    Rig::new(config)
}

/// Sends a request; what goes out.
fn ask(rig: &mut Rig, operation: &'static str) -> Vec<Effect> {
    let token = rig.token();
    let call = Call {
        epoch: Some((7, 1).into()),
        ..Call::new(token, operation, json_of(json!({"n": 1})))
    };
    rig.input(Input::Call(call))
}

#[test]
fn an_operation_may_have_any_name() {
    let mut rig = container();
    rig.connect("s-1");
    for operation in ["say", "cs", "gg", "xd", "a \"b\" \\"] {
        let frame = sent(&ask(&mut rig, operation)).remove(0);
        let expected = json!([operation, {"n": 1}, {"timeoutMs": 30_000}]);
        let payload: serde_json::Value = serde_json::from_slice(&frame.payload).expect("JSON");
        assert_eq!(payload, expected);
    }
    // One of a TypeScript agent is told no extension.
    let mut rig = container();
    rig.input(Input::Connected);
    rig.frame(Frame::new(Op::Hello, "i-1", ""));
    for operation in ["say", "cs", "xd"] {
        let frame = sent(&ask(&mut rig, operation)).remove(0);
        assert_eq!(
            frame.payload_text(),
            json!([operation, {"n": 1}]).to_string()
        );
    }
}

#[test]
fn operations_count_against_the_limit() {
    let mut rig = container();
    rig.input(Input::Connected);
    rig.frame(hello_answer("s-1", "i-1", 0, 2));
    let frames: usize = (0..3).map(|_| sent(&ask(&mut rig, "say")).len()).sum();
    assert_eq!(frames, 2);
}

#[test]
fn what_is_sent_again_names_the_life_that_was_asked() {
    let mut rig = container();
    rig.connect("s-1");
    ask(&mut rig, "say");
    let again = sent(&rig.reconnect("s-1"));
    let request = again
        .iter()
        .find(|frame| frame.op == Op::Request)
        .expect("sent again");
    let payload: serde_json::Value = serde_json::from_slice(&request.payload).expect("JSON");
    assert_eq!(payload[2]["epoch"], json!([7, 1]));
}

#[test]
fn another_container_on_its_port_is_asked_nothing() {
    let mut rig = container();
    rig.connect("s-1");
    let token = rig.token();
    let call = Call {
        fail_when_cut: true,
        ..Call::new(token, "say", json_of(json!(1)))
    };
    rig.input(Input::Call(call));
    let cut = rig.input(Input::Disconnected);
    assert_eq!(ended(&cut), [(token, Some(ErrorCode::Interrupted))]);
    ask(&mut rig, "say");
    rig.input(Input::Connected);
    let effects = rig.frame(hello_answer("s-2", "i-2", 0, 1_024));
    assert!(sent(&effects).is_empty(), "{effects:?}");
    assert!(effects.contains(&Effect::Hangup));
    assert_eq!(rig.session.counters().refused_servers, 1);
    // Its own again.
    let effects = rig.connect("s-3");
    assert!(sent(&effects).iter().any(|frame| frame.op == Op::Request));
}

/// The agent was started again since it was said where the container is, and the first to listen
/// there now is another one.
#[test]
fn another_container_that_has_its_port_from_the_first_is_asked_nothing() {
    let mut rig = Rig::new(Config {
        peer: Peer::Container,
        container: Some("u1".to_owned()),
        ..config()
    });
    ask(&mut rig, "say");
    for (container, is_it) in [("u2", false), ("u1", true)] {
        rig.input(Input::Connected);
        let effects = rig.frame(hello_answer_of(container, "i-1"));
        let asked = sent(&effects).iter().any(|frame| frame.op == Op::Request);
        assert_eq!(asked, is_it, "{effects:?}");
        assert_eq!(effects.contains(&Effect::Hangup), !is_it);
    }
    assert_eq!(rig.session.counters().refused_servers, 1);
}

#[test]
fn who_waits_for_a_request_is_said_beside_it() {
    let chain = huly_protocol::Chain::default().then("u".into(), 7);
    for own_router in [true, false] {
        let mut rig = match own_router {
            true => container(),
            false => Rig::new(config()),
        };
        rig.connect("s-1");
        let token = rig.token();
        let (method, params) = match own_router {
            true => ("say", json!(1)),
            false => ("cs", json!(["v", "say", 1])),
        };
        let call = Call {
            chain: chain.clone(),
            epoch: Some((7, 1).into()),
            ..Call::new(token, method, json_of(params))
        };
        let first = sent(&rig.input(Input::Call(call)));
        let again = sent(&rig.reconnect("s-1"));
        for frames in [first, again] {
            let request = frames.iter().find(|frame| frame.op == Op::Request);
            let text = request.expect("it is sent").payload_text().into_owned();
            assert!(text.contains(r#""chain":[["u",7]]"#), "{text}");
        }
    }
}

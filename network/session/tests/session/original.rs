//! A TypeScript server: no extension is sent to it, and it is judged by its own habits.

use huly_protocol::{ErrorCode, Frame, Op};
use huly_session::{CallError, Effect, Input};
use serde_json::json;

use crate::rig::{Rig, config, ended, ms, params, pings, requests, sent};

fn up() -> Rig {
    let mut rig = Rig::new(config());
    rig.input(Input::Connected);
    let effects = rig.frame(Frame::new(Op::Hello, "server-1", ""));
    assert!(matches!(effects[0], Effect::Up { answer: None, .. }));
    rig
}

#[test]
fn pings_are_empty_and_come_once_a_second() {
    let mut rig = up();
    assert!(pings(&rig.run(ms(999))).is_empty());
    let next = pings(&rig.run(ms(1)));
    assert_eq!(next.len(), 1);
    assert!(next[0].payload.is_empty());
    rig.frame(Frame::new(Op::Pong, "server-1", ""));
    let effects = rig.run(ms(2_999));
    assert!(!effects.contains(&Effect::Hangup));
}

#[test]
fn methods_of_the_extension_fail_here() {
    let mut rig = up();
    let (token, effects) = rig.call("kl", json!({}));
    assert!(requests(&effects).is_empty());
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::BadRequest))]);
}

#[test]
fn references_are_got_again_from_another_server() {
    let mut rig = up();
    let (_, effects) = rig.get(None);
    let get = sent(&effects).remove(0);
    rig.answer(&get, json!(["c-1", "endpoint"]));
    rig.input(Input::Disconnected);
    rig.input(Input::Connected);
    let effects = rig.frame(Frame::new(Op::Hello, "server-2", ""));
    let again = sent(&effects).remove(0);
    assert_eq!(
        params(&again),
        json!({"kind": "echo", "request": {"uuid": "c-1"}})
    );
    let effects = rig.answer(&again, json!(["c-1", "elsewhere"]));
    assert!(matches!(effects[..], [Effect::Held(_)]));
    let location = rig.session.location("c-1").expect("held");
    assert_eq!(location.endpoint, "elsewhere");
}

#[test]
fn containers_that_are_gone_are_told_whoever_holds_them() {
    let mut rig = up();
    let record = |uuid: &str| json!({"agentId": "a", "uuid": uuid, "kind": "echo", "endpoint": "", "lastVisit": 0});
    let event = json!({"agents": [], "containers": [
        {"container": record("c-1"), "event": 2},
        {"container": record("c-2"), "event": 0},
        {"container": record("c-3"), "event": 2},
    ]});
    let effects = rig.frame(Frame::new(Op::Event, "", event.to_string().into_bytes()));
    assert!(matches!(&effects[..], [Effect::Removed(uuids)] if uuids[..] == ["c-1", "c-3"]));
}

#[test]
fn a_retry_is_waited_for_in_half_seconds() {
    let mut rig = up();
    let (_, effects) = rig.call("ak", json!({}));
    let request = sent(&effects).remove(0);
    rig.frame(Frame::new(Op::Retry, request.id.clone(), "2"));
    assert!(requests(&rig.run(ms(999))).is_empty());
    let effects = rig.run(ms(51));
    assert_eq!(requests(&effects), [("ak".to_owned(), request.id)]);
}

#[test]
fn events_of_containers_that_are_held_are_told() {
    let mut rig = up();
    let (_, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    rig.answer(&get, json!(["c-1", "endpoint"]));
    let record = |uuid: &str| json!({"agentId": "a", "uuid": uuid, "kind": "echo", "endpoint": "new", "lastVisit": 0});
    let event = json!({"agents": [], "containers": [
        {"container": record("c-2"), "event": 1},
        {"container": record("c-1"), "event": 1},
    ]});
    let effects = rig.frame(Frame::new(Op::Event, "", event.to_string().into_bytes()));
    assert!(matches!(&effects[..], [Effect::Held(event)] if event.uuid == "c-1"));
    assert_eq!(rig.session.location("c-1").expect("held").endpoint, "new");
}

/// A session that holds `c-1`, and whose server has another uuid since.
fn restarted() -> (Rig, Vec<Frame>) {
    let mut rig = up();
    let (_, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    rig.answer(&get, json!(["c-1", "endpoint"]));
    rig.input(Input::Disconnected);
    rig.input(Input::Connected);
    let effects = rig.frame(Frame::new(Op::Hello, "server-2", ""));
    (rig, sent(&effects))
}

#[test]
fn requests_wait_until_their_container_is_known_again() {
    let (mut rig, sent_again) = restarted();
    let (_, effects) = rig.call("cs", json!(["c-1", "first", null]));
    assert!(requests(&effects).is_empty());
    let (_, effects) = rig.call("cs", json!(["c-2", "not held", null]));
    assert_eq!(requests(&effects).len(), 1);
    let (_, effects) = rig.call("cs", json!(["c-1", "second", null]));
    assert!(requests(&effects).is_empty());

    assert!(requests(&rig.frame(refused(&sent_again[0]))).is_empty());
    let again = sent(&rig.run(ms(600))).remove(0);
    assert_eq!(params(&again)["request"]["uuid"], "c-1");
    let asked = sent(&rig.answer(&again, json!(["c-1", "endpoint"])));
    let operations: Vec<_> = asked.iter().map(|frame| params(frame)[1].clone()).collect();
    assert_eq!(operations, [json!("first"), json!("second")]);
}

#[test]
fn a_request_that_waits_for_its_container_ends_by_its_deadline() {
    let (mut rig, _) = restarted();
    let (token, _) = rig.call("cs", json!(["c-1", "never sent", null]));
    let effects = rig.run(ms(40_000));
    assert!(ended(&effects).contains(&(token, Some(ErrorCode::TimedOut))));
}

#[test]
fn a_released_container_holds_no_request_up() {
    let (mut rig, _) = restarted();
    rig.call("cs", json!(["c-1", "x", null]));
    let token = rig.token();
    let effects = rig.input(Input::Release {
        token: Some(token),
        uuid: "c-1".into(),
        raw: false,
    });
    let methods: Vec<_> = requests(&effects)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(methods, ["cs", "cr"]);
}

/// What is asked again over a new connection whose server has the same uuid.
fn asked_again_after(silence: u64) -> Vec<Frame> {
    let mut rig = up();
    let (_, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    rig.answer(&get, json!(["c-1", "endpoint"]));
    rig.input(Input::Disconnected);
    rig.run(ms(silence));
    rig.input(Input::Connected);
    let effects = rig.frame(Frame::new(Op::Hello, "server-1", ""));
    let fresh = silence >= 3_000;
    assert!(matches!(effects[0], Effect::Up { fresh: said, .. } if said == fresh));
    sent(&effects)
        .into_iter()
        .filter(|frame| frame.op == Op::Request)
        .collect()
}

#[test]
fn a_server_that_may_have_forgotten_is_told_again() {
    assert!(asked_again_after(2_900).is_empty());
    let again = asked_again_after(3_000);
    assert_eq!(params(&again[0])["request"]["uuid"], "c-1");
}

#[test]
fn a_container_that_was_gone_and_is_back_is_held_again() {
    let mut rig = up();
    let (_, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    rig.answer(&get, json!(["c-1", "endpoint"]));
    let record = json!({"agentId": "a", "uuid": "c-1", "kind": "echo", "endpoint": "endpoint", "lastVisit": 0});
    let tell = |rig: &mut Rig, kind: u8| {
        let event = json!({"agents": [], "containers": [{"container": record, "event": kind}]});
        rig.frame(Frame::new(Op::Event, "", event.to_string().into_bytes()))
    };
    let effects = tell(&mut rig, 0);
    assert!(effects.is_empty(), "it was never gone");
    tell(&mut rig, 2);
    assert!(rig.session.location("c-1").expect("held").gone);
    let effects = tell(&mut rig, 0);
    let again = sent(&effects).remove(0);
    assert_eq!(params(&again)["request"]["uuid"], "c-1");
    // Asked for once; its requests wait.
    assert!(tell(&mut rig, 0).is_empty());
    let (_, effects) = rig.call("cs", json!(["c-1", "x", null]));
    assert!(requests(&effects).is_empty());
    let effects = rig.answer(&again, json!(["c-1", "endpoint"]));
    assert!(matches!(&effects[0], Effect::Held(event) if event.uuid == "c-1"));
    assert_eq!(sent(&effects).len(), 1);
    assert!(!rig.session.location("c-1").expect("held").gone);
}

fn refused(get: &Frame) -> Frame {
    let error = json!({"message": "No suitable agents found for container echo", "stack": ""});
    Frame::new(
        Op::ResponseError,
        get.id.clone(),
        error.to_string().into_bytes(),
    )
}

#[test]
fn a_get_that_no_agent_serves_is_tried_to_its_deadline() {
    let mut rig = up();
    let (token, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    assert!(rig.frame(refused(&get)).is_empty());
    let again = sent(&rig.run(ms(600))).remove(0);
    assert_eq!(again, get);
    rig.frame(refused(&again));
    // It never brought a container: nothing is released.
    let effects = loop {
        let effects = rig.run(ms(100));
        let frames = sent(&effects);
        for frame in &frames {
            match frame.op {
                Op::Request => {
                    assert_eq!(*frame, get);
                    rig.frame(refused(frame));
                }
                _ => {
                    rig.frame(Frame::new(Op::Pong, "server-1", ""));
                }
            }
        }
        if effects.iter().any(|it| matches!(it, Effect::Got { .. })) {
            break effects;
        }
    };
    let error = effects.iter().find_map(|effect| match effect {
        Effect::Got {
            token: told,
            result: Err(CallError::Failed(error)),
        } if *told == token => Some(error.message.clone()),
        _ => None,
    });
    let message = "No suitable agents found for container echo";
    assert_eq!(error.as_deref(), Some(message));
}

#[test]
fn a_get_that_no_agent_serves_is_tried_when_one_comes() {
    let mut rig = up();
    let (token, effects) = rig.get(Some("c-1"));
    let get = sent(&effects).remove(0);
    rig.frame(refused(&get));
    let tell = |rig: &mut Rig, kinds: &[&str]| {
        let event = json!({"agents": [{"id": "a", "kinds": kinds, "event": 0}], "containers": []});
        sent(&rig.frame(Frame::new(Op::Event, "", event.to_string().into_bytes())))
    };
    assert!(tell(&mut rig, &["counter"]).is_empty());
    assert_eq!(
        tell(&mut rig, &["counter", "echo"]),
        std::slice::from_ref(&get)
    );
    let effects = rig.answer(&get, json!(["c-1", "endpoint"]));
    assert!(matches!(&effects[..], [Effect::Got { token: told, result: Ok(_) }] if *told == token));
}

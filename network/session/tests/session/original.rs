//! A TypeScript server: no extension is sent to it, and it is judged by its own habits.

use huly_protocol::{ErrorCode, Frame, Op};
use huly_session::{Effect, Input};
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

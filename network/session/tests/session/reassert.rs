//! What is held is asserted again; what was let go meanwhile is not.

use huly_protocol::{ErrorCode, ErrorPayload, Frame, Op};
use huly_session::{Effect, Input};
use serde_json::json;

use crate::rig::{Rig, got, ms, params, requests, sent};

fn asserted(effects: &[Effect]) -> Vec<String> {
    let frames = sent(effects);
    let all = frames.iter().filter(|frame| frame.op == Op::Request);
    let gets = all.flat_map(|frame| params(frame)["gets"].as_array().cloned());
    let uuids = gets
        .flatten()
        .map(|get| get["uuid"].as_str().map(str::to_owned));
    uuids.flatten().collect()
}

#[test]
fn what_was_let_go_while_it_was_refused_is_not_asserted_again() {
    let mut rig = Rig::up();
    for uuid in ["a", "b"] {
        let (_, get) = rig.get(Some(uuid));
        rig.answer(&sent(&get)[0], got(uuid));
    }
    let again = rig.reconnect("s-2");
    assert_eq!(asserted(&again), ["a", "b"]);
    let refused = sent(&again)[0].clone();
    let busy = ErrorPayload::new(ErrorCode::Busy, "no room");
    rig.frame(Frame::new(Op::ResponseError, refused.id, busy.bytes()));
    let release = |rig: &mut Rig, uuid: &str| {
        let uuid = uuid.to_owned();
        let (token, raw) = (None, false);
        rig.input(Input::Release { token, uuid, raw })
    };
    let released = release(&mut rig, "a");
    assert_eq!(requests(&released)[0].0, "cr");
    let later = rig.run(ms(700));
    assert_eq!(asserted(&later), ["b"]);
    // Its answers are taken for what was asserted.
    let last = sent(&later)[0].clone();
    let moved = json!([["b", "elsewhere", {"kind": "echo", "agentId": "z", "epoch": [1_000, 9]}]]);
    rig.answer(&last, moved);
    let place = rig.session.location("b");
    assert_eq!(
        place.map(|place| place.endpoint.as_str()),
        Some("elsewhere")
    );
}

#[test]
fn with_nothing_left_nothing_is_asserted() {
    let mut rig = Rig::up();
    let (_, get) = rig.get(Some("a"));
    rig.answer(&sent(&get)[0], got("a"));
    let again = rig.reconnect("s-2");
    let busy = ErrorPayload::new(ErrorCode::Busy, "no room");
    let refused = sent(&again)[0].id.clone();
    rig.frame(Frame::new(Op::ResponseError, refused, busy.bytes()));
    let (token, raw) = (None, false);
    let uuid = "a".to_owned();
    let release = rig.input(Input::Release { token, uuid, raw });
    rig.answer(&sent(&release)[0], json!("ok"));
    assert_eq!(requests(&rig.run(ms(700))), []);
    assert_eq!(rig.session.pending(), 0);
}

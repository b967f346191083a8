//! Requests to containers that went another way before, or directly: whoever answers last cannot say that
//! they did not run.

use huly_protocol::{ErrorCode, ErrorPayload, Frame, Op};
use huly_session::{Config, Peer};
use serde_json::json;

use crate::once::{EPOCH, ask, ext};
use crate::rig::{Rig, config, ended, hello_answer, ms, sent};

#[test]
fn what_went_another_way_before_is_not_sent_in_an_unknown_life() {
    let mut rig = Rig::up();
    let (token, effects) = ask(&mut rig, |call| call.sent_before = true);
    assert_eq!(sent(&effects), []);
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::OutcomeUnknown))]);
    assert_eq!(rig.session.counters().resent, 0);
    let (_, effects) = ask(&mut rig, |call| {
        call.sent_before = true;
        call.epoch = Some(EPOCH);
    });
    assert_eq!(ext(&effects)["epoch"], json!([1_000, 7]));
    assert_eq!(rig.session.counters().resent, 1);
}

#[test]
fn what_was_sent_on_another_route_is_not_said_not_to_have_run() {
    let mut rig = Rig::new(config());
    let (token, _) = ask(&mut rig, |call| {
        call.timeout = Some(ms(400));
        call.epoch = Some(EPOCH);
        call.sent_before = true;
    });
    // The network server is not reached in time.
    let late = rig.run(ms(500));
    assert_eq!(ended(&late), [(token, Some(ErrorCode::OutcomeUnknown))]);
}

#[test]
fn nobody_can_say_of_what_was_sent_directly_that_it_did_not_run() {
    let mut rig = Rig::up();
    let cases = [
        (ErrorCode::Busy, ErrorCode::OutcomeUnknown),
        (ErrorCode::Gone, ErrorCode::OutcomeUnknown),
        (ErrorCode::NoSuchContainer, ErrorCode::OutcomeUnknown),
        (ErrorCode::Failed, ErrorCode::Failed),
    ];
    for (said, told) in cases {
        let (token, asked) = ask(&mut rig, |call| {
            call.epoch = Some(EPOCH);
            call.sent_before = true;
        });
        let error = ErrorPayload::new(said, "no").bytes();
        let id = sent(&asked)[0].id.clone();
        let answered = rig.frame(Frame::new(Op::ResponseError, id, error));
        assert_eq!(ended(&answered), [(token, Some(told))], "{said:?}");
    }
}

/// The agent had forgotten the session, and the container has left it since.
#[test]
fn what_was_sent_to_two_sessions_directly_may_have_run_in_the_first() {
    for idempotent in [false, true] {
        let mut rig = Rig::new(Config {
            peer: Peer::Agent,
            ..config()
        });
        rig.connect("s-1");
        let (token, asked) = ask(&mut rig, |call| {
            call.epoch = Some(EPOCH);
            call.fail_when_cut = true;
            call.idempotent = idempotent;
        });
        let id = sent(&asked)[0].id.clone();
        rig.frame(Frame::new(Op::AskHello, "", ""));
        let again = rig.frame(hello_answer("s-2", "i-1", 1_000, 1_024));
        assert!(sent(&again).iter().any(|frame| frame.id == id), "{again:?}");
        let error = ErrorPayload::new(ErrorCode::NoSuchContainer, "no").bytes();
        let answered = rig.frame(Frame::new(Op::ResponseError, id, error));
        let told = match idempotent {
            true => ErrorCode::NoSuchContainer,
            false => ErrorCode::Interrupted,
        };
        assert_eq!(ended(&answered), [(token, Some(told))]);
    }
}

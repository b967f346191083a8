//! Requests: sent again, answered once, given up in time.

use huly_protocol::{ErrorCode, Frame, IN_FLIGHT_RESERVE, Op};
use huly_session::{Call, CallError, Effect, Input, StopReason};
use serde_json::json;

use crate::rig::{
    Rig, config, ended, got, hello_answer, json_of, limited, ms, params, requests, sent,
};

#[test]
fn what_is_pending_is_sent_again_in_order_under_the_same_ids() {
    let mut rig = Rig::up();
    let (_, first) = rig.call("ak", json!({}));
    let (_, second) = rig.call("al", json!({}));
    let before = [requests(&first), requests(&second)].concat();
    rig.input(Input::Disconnected);
    let (_, while_down) = rig.call("kl", json!({}));
    assert!(sent(&while_down).is_empty(), "there is no connection");
    let after = requests(&rig.connect("s-1"));
    assert_eq!(after[..2], before);
    assert_eq!(after[2].0, "kl");
    assert_eq!(rig.session.counters().resent, 2, "not the third");
}

#[test]
fn answers_count_once_and_only_to_what_was_asked() {
    let mut rig = Rig::up();
    let (token, effects) = rig.call("ak", json!({}));
    let request = sent(&effects).remove(0);
    assert_eq!(ended(&rig.answer(&request, json!([]))), [(token, None)]);
    assert!(ended(&rig.answer(&request, json!([]))).is_empty());
    let strange = Frame::new(Op::Response, "client-p-99", "1");
    assert!(ended(&rig.frame(strange)).is_empty());
    assert_eq!(rig.session.counters().unknown_answers, 2);
}

#[test]
fn a_late_answer_to_what_was_given_up_is_no_surprise() {
    let mut rig = Rig::up();
    let (token, effects) = rig.call("ak", json!({}));
    rig.input(Input::Cancel { token });
    let request = sent(&effects).remove(0);
    assert!(ended(&rig.answer(&request, json!([]))).is_empty());
    assert_eq!(rig.session.counters().unknown_answers, 0);
}

#[test]
fn deadlines_say_whether_a_request_may_have_run() {
    let cases = [
        ("ak", true, ErrorCode::TimedOut),
        ("cs", true, ErrorCode::OutcomeUnknown),
        ("cs", false, ErrorCode::TimedOut),
    ];
    for (method, connected, expected) in cases {
        let mut rig = Rig::new(config());
        if connected {
            rig.connect("s-1");
        }
        let token = rig.token();
        let call = Call {
            timeout: Some(ms(400)),
            ..Call::new(token, method, json_of(json!(["c", "op", 1])))
        };
        rig.input(Input::Call(call));
        assert!(ended(&rig.run(ms(399))).is_empty());
        assert_eq!(
            ended(&rig.run(ms(1))),
            [(token, Some(expected))],
            "{method}"
        );
    }
}

#[test]
fn a_call_without_a_deadline_of_its_own_has_the_configured_one() {
    let mut rig = Rig::new(config());
    let (token, _) = rig.call("ak", json!({}));
    assert_eq!(rig.session.next_wake(), Some(rig.now + ms(30_000)));
    let effects = rig.run(ms(30_000));
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::TimedOut))]);
}

#[test]
fn no_more_go_out_than_the_server_takes() {
    let mut rig = Rig::new(config());
    rig.input(Input::Connected);
    rig.frame(hello_answer("s-1", "i-1", 1_000, 2));
    let mut frames = Vec::new();
    for n in 0..4 {
        frames.extend(sent(&rig.call("cs", json!(["c", "op", n])).1));
    }
    assert_eq!(frames.len(), 2);
    // Gets have room beside them, and what is answered at once always.
    let reserve = usize::try_from(IN_FLIGHT_RESERVE).expect("a small number");
    let gets = (0..=reserve).map(|_| requests(&rig.get(None).1).len());
    assert_eq!(gets.sum::<usize>(), reserve);
    assert_eq!(requests(&rig.call("cr", json!({"uuid": "c"})).1).len(), 1);
    rig.answer(&frames[0], json!([]));
    let next = rig.answer(&frames[1], json!([]));
    assert!(
        requests(&next).iter().all(|(method, _)| method == "gg"),
        "their room is not for others"
    );
}

#[test]
fn what_is_larger_than_the_server_takes_is_not_sent() {
    let mut rig = Rig::new(config());
    rig.input(Input::Connected);
    rig.frame(limited("s-1", 1_000));
    let (token, effects) = rig.call("cs", json!(["c", "op", "x".repeat(1_000)]));
    assert!(requests(&effects).is_empty());
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::Exhausted))]);
}

#[test]
fn a_retry_makes_hello_be_said_and_the_request_go_again() {
    let mut rig = Rig::up();
    let (_, effects) = rig.call("ak", json!({}));
    let request = sent(&effects).remove(0);
    let effects = rig.frame(Frame::new(Op::Retry, request.id.clone(), "1"));
    assert_eq!(sent(&effects)[0].op, Op::Hello);
    let effects = rig.frame(hello_answer("s-1", "i-1", 1_000, 1_024));
    assert_eq!(requests(&effects), [("ak".to_owned(), request.id)]);
}

#[test]
fn half_a_sync_does_not_outlive_its_session() {
    let mut rig = Rig::up();
    let token = rig.token();
    let call = Call {
        only_in: Some("s-1".into()),
        ..Call::new(token, "xs", json_of(json!({})))
    };
    let before = requests(&rig.input(Input::Call(call.clone())));
    let same = rig.reconnect("s-1");
    assert_eq!(requests(&same), before, "the session is the same");
    let effects = rig.reconnect("s-2");
    assert!(requests(&effects).is_empty());
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::Interrupted))]);
    let late = Call {
        token: rig.token(),
        ..call
    };
    let effects = rig.input(Input::Call(late));
    assert!(requests(&effects).is_empty());
    assert_eq!(ended(&effects)[0].1, Some(ErrorCode::Interrupted));
}

#[test]
fn calls_of_the_server_run_once_and_lost_answers_are_sent_again() {
    let mut rig = Rig::up();
    let call = Frame::new(Op::Request, "i-1-5", "[\"cs\",[\"a\",[]]]");
    let effects = rig.frame(call.clone());
    let Some(Effect::BackCall { call: number, .. }) = effects.first() else {
        panic!("no call: {effects:?}");
    };
    let number = *number;
    rig.input(Input::Disconnected);
    let reply = Input::Reply {
        call: number,
        result: Ok(json_of(json!(42))),
    };
    assert!(sent(&rig.input(reply)).is_empty(), "there is no connection");
    let answer = Frame::new(Op::Response, "i-1-5", "42");
    assert!(sent(&rig.connect("s-2")).contains(&answer));
    let again = rig.frame(call.clone());
    assert_eq!(again, [Effect::Send(answer)], "not run again");
    // Another server process: its ids have nothing to do with the former one's.
    rig.input(Input::Disconnected);
    rig.input(Input::Connected);
    rig.frame(hello_answer("s-3", "i-2", 2_000, 1_024));
    assert!(matches!(rig.frame(call)[..], [Effect::BackCall { .. }]));
}

#[test]
fn what_is_answered_while_the_server_asks_for_a_hello_is_sent_after_it() {
    let mut rig = Rig::up();
    let call = Frame::new(Op::Request, "i-1-5", "[\"cs\",[\"a\",[]]]");
    let effects = rig.frame(call);
    let [Effect::BackCall { call, .. }] = effects[..] else {
        panic!("no call: {effects:?}");
    };
    rig.frame(Frame::new(Op::AskHello, "i-1", ""));
    let result = Ok(json_of(json!(42)));
    let effects = rig.input(Input::Reply { call, result });
    assert!(sent(&effects).is_empty(), "the server knows no session");
    let effects = rig.frame(hello_answer("s-1", "i-1", 1_000, 1_024));
    let answer = Frame::new(Op::Response, "i-1-5", "42");
    assert!(sent(&effects).contains(&answer), "{effects:?}");
}

#[test]
fn a_release_waits_for_a_get_that_may_bring_the_same() {
    let mut rig = Rig::up();
    let (_, effects) = rig.get(Some("c-1"));
    let first = sent(&effects).remove(0);
    rig.answer(&first, got("c-1"));
    let (_, effects) = rig.get(Some("c-1"));
    let second = sent(&effects).remove(0);
    let release = || Input::Release {
        token: None,
        uuid: "c-1".into(),
        raw: false,
    };
    assert!(requests(&rig.input(release())).is_empty());
    let effects = rig.answer(&second, got("c-1"));
    assert!(requests(&effects).is_empty(), "it is held again");
    let effects = rig.input(release());
    assert_eq!(params(&sent(&effects)[0]), json!({"uuid": "c-1"}));
}

/// Of a durable one another process of the operator may have made the reference before.
#[test]
fn a_get_that_is_given_up_is_released_unless_it_is_durable() {
    let releases = |effects: &[Effect]| requests(effects).iter().any(|(name, _)| name == "cr");
    let cases = [Some("c-1"), None].map(|uuid| [(uuid, false), (uuid, true)]);
    for (uuid, durable) in cases.into_iter().flatten() {
        for cancelled in [false, true] {
            let mut rig = Rig::up();
            let (token, asked) = rig.get_for(uuid, durable, Some(ms(900)));
            let get = sent(&asked).remove(0);
            let effects = match cancelled {
                true => rig.input(Input::Cancel { token }),
                false => rig.run(ms(900)),
            };
            assert_eq!(releases(&effects), !durable && uuid.is_some(), "{uuid:?}");
            let effects = rig.answer(&get, got("c-1"));
            assert_eq!(releases(&effects), !durable && uuid.is_none(), "{uuid:?}");
            assert!(ended(&effects).is_empty());
            // Who wants it no more says so.
            if durable {
                let (token, uuid, raw) = (None, "c-1".to_owned(), true);
                assert!(releases(&rig.input(Input::Release { token, uuid, raw })));
            }
        }
    }
}

#[test]
fn references_are_asserted_again_to_a_fresh_session_in_chunks() {
    for (limit, largest) in [(1_u64 << 20, 500), (10_000, 499)] {
        let mut rig = Rig::up();
        for n in 0..501 {
            let uuid = format!("c-{n:03}");
            let (_, effects) = rig.get(Some(&uuid));
            let request = sent(&effects).remove(0);
            rig.answer(&request, got(&uuid));
        }
        rig.input(Input::Disconnected);
        rig.input(Input::Connected);
        let effects = rig.frame(limited("s-2", limit));
        let frames = sent(&effects);
        let sizes: Vec<usize> = frames
            .iter()
            .map(|frame| params(frame)["gets"].as_array().expect("gets").len())
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), 501);
        assert!(sizes.iter().all(|size| *size <= largest), "{sizes:?}");
        assert!(
            frames
                .iter()
                .all(|frame| frame.payload.len() as u64 <= limit)
        );
    }
}

#[test]
fn a_close_is_confirmed_and_ends_everything() {
    let mut rig = Rig::up();
    let (token, _) = rig.call("ak", json!({}));
    let effects = rig.input(Input::Close);
    assert_eq!(sent(&effects)[0].op, Op::Close);
    let effects = rig.frame(Frame::new(Op::AskHello, "i-1", ""));
    assert!(effects.contains(&Effect::Answered {
        token,
        result: Err(CallError::Closed)
    }));
    assert_eq!(effects.last(), Some(&Effect::Stopped(StopReason::Left)));
    let (late, effects) = rig.call("ak", json!({}));
    assert_eq!(ended(&effects), [(late, None)]);
    assert_eq!(rig.session.next_wake(), None);
}

#[test]
fn a_server_that_does_not_confirm_a_close_is_left_anyway() {
    let mut rig = Rig::up();
    rig.input(Input::Close);
    let effects = rig.run(ms(500));
    assert_eq!(effects.last(), Some(&Effect::Stopped(StopReason::Left)));
}

#[test]
fn superseded_is_the_end() {
    let mut rig = Rig::up();
    let (token, _) = rig.call("ak", json!({}));
    let event = Frame::new(Op::Event, "", "{\"superseded\":\"by another\"}");
    let effects = rig.frame(event);
    assert_eq!(ended(&effects), [(token, Some(ErrorCode::Superseded))]);
    let reason = StopReason::Superseded("by another".into());
    assert_eq!(effects.last(), Some(&Effect::Stopped(reason)));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Dial { .. }))
    );
}

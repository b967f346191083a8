use super::*;
use crate::core::{Observed, Route};

fn outcomes(rig: &Rig) -> Vec<(Route, &'static str)> {
    let outcome = |effect: &Effect| match effect {
        Effect::Observed(Observed::Request { route, outcome, .. }) => Some((*route, *outcome)),
        _ => None,
    };
    rig.out.iter().filter_map(outcome).collect()
}

#[test]
fn a_request_that_waits_for_a_start_is_given_up_shortly_before_its_caller_gives_up() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let run = rig.last_start();
    let short = rig.request_for("u", "r1", 500);
    let long = rig.request_for("u", "r2", 5_000);
    rig.pass_leased(440 * MS);
    assert!(rig.answered(short).is_none());
    rig.pass_leased(20 * MS);
    let error = rig.answer(short).unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::TimedOut));
    assert_eq!(
        error.message,
        "container u could not be asked within 450 ms; the request did not run"
    );
    assert_eq!(rig.agent.figures().waiting, 1);
    rig.pass_leased(4_430 * MS);
    assert!(rig.answered(long).is_none());
    rig.pass_leased(20 * MS);
    assert_eq!(rig.code(long), ErrorCode::TimedOut);
    assert_eq!(rig.agent.figures().waiting, 0);
    assert_eq!(
        outcomes(&rig),
        [(Route::Routed, "timedOut"), (Route::Routed, "timedOut")]
    );
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    assert!(rig.dispatched().is_empty());
    // They did not run, so they may be sent again.
    rig.request_for("u", "r1", 500);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_direct_request_that_waits_for_the_lease_is_given_up_in_time_too() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    rig.rust_hello("x", "c1");
    assert!(
        rig.ask("x", "r1", "u", json!({ "timeoutMs": 3_000 }))
            .is_empty()
    );
    rig.pass(2_890 * MS);
    assert!(rig.sent().is_empty());
    rig.pass(20 * MS);
    assert_eq!(sent_code(&rig.sent()), ErrorCode::TimedOut);
    assert_eq!(outcomes(&rig), [(Route::Direct, "timedOut")]);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert!(rig.dispatched().is_empty());
}

#[test]
fn a_start_that_waits_no_more_has_no_deadline() {
    let mut rig = Rig::registered();
    rig.pause(5_000 * MS);
    rig.input(Input::Wake);
    let before = rig.agent.sizes().deadlines;
    rig.get("u", 1);
    assert_eq!(rig.agent.sizes().deadlines, before + 1);
    rig.input(Input::Register);
    assert_eq!(rig.agent.sizes().deadlines, before, "dropped");
    rig.get("v", 2);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert_eq!(rig.starts().len(), 1);
    let sizes = rig.agent.sizes();
    assert_eq!(sizes.deadlines, before + 1, "that of the start itself");
}

#[test]
fn a_hold_is_bounded_also_for_who_waits_longer() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    let token = rig.request_for("u", "r1", u64::MAX);
    rig.pass(29_900 * MS);
    assert!(rig.answered(token).is_none());
    rig.pass(200 * MS);
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
}

#[test]
fn what_comes_after_the_deadline_hands_nothing_over() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let run = rig.last_start();
    let token = rig.request_for("u", "r1", 300);
    // No wake between: the start itself is what tells the time.
    rig.pause(300 * MS);
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    assert!(rig.dispatched().is_empty());
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
    let token = rig.request_for("u", "r2", 0);
    assert!(rig.dispatched().is_empty());
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
}

#[test]
fn a_container_is_told_until_when_it_may_begin() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.request_for("u", "r1", 500);
    rig.request("u", json!(1), "r2");
    let until = |effect: &Effect| match effect {
        Effect::Dispatch { asked, .. } => Some(asked.until),
        _ => None,
    };
    let told: Vec<_> = rig.out.iter().filter_map(until).collect();
    assert_eq!(told, [Some(rig.now + 450 * MS), None]);
}

#[test]
fn a_direct_request_that_is_sent_again_does_not_run_in_another_life() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.rust_hello("x", "c1");
    rig.ask("x", "r1", "u", Value::Null);
    let call = rig.dispatched()[0].1;
    rig.input(Input::Answered {
        call,
        result: ok(json!("a")),
    });
    rig.sent();
    // In its own life it has its answer, or it runs, or it is known to run.
    let again = json!({ "epoch": [10, 1] });
    let sent = rig.ask("x", "r1", "u", again.clone());
    assert_eq!(sent[0].1.payload_text(), r#""a""#);
    rig.ask("x", "r2", "u", again.clone());
    assert!(rig.ask("x", "r2", "u", again.clone()).is_empty());
    assert_eq!(rig.dispatched().len(), 2);
    rig.ended(run, EndReport::ByItself);
    rig.living("u", 2);
    rig.sent();
    let sent = rig.ask("x", "r3", "u", again.clone());
    assert_eq!(sent_code(&sent), ErrorCode::OutcomeUnknown);
    assert!(rig.dispatched().is_empty());
    // Also one that has not started yet, or that is being ended.
    rig.get("v", 3);
    let sent = rig.ask("x", "r4", "v", again.clone());
    assert_eq!(sent_code(&sent), ErrorCode::OutcomeUnknown);
    rig.call("ct", json!(["u"]), Value::Null);
    let sent = rig.ask("x", "r5", "u", again);
    assert_eq!(sent_code(&sent), ErrorCode::OutcomeUnknown);
    assert_eq!(rig.agent.figures().waiting, 0);
}

#[test]
fn what_is_known_of_a_request_comes_before_the_life_it_names() {
    let mut rig = Rig::registered();
    rig.living("u", 2);
    rig.rust_hello("x", "c1");
    rig.ask("x", "r1", "u", Value::Null);
    let call = rig.dispatched()[0].1;
    // Sent first to the life before, it runs in this one: the caller had sent it anew.
    assert!(
        rig.ask("x", "r1", "u", json!({ "epoch": [10, 1] }))
            .is_empty()
    );
    rig.input(Input::Answered {
        call,
        result: ok(json!("a")),
    });
    assert_eq!(rig.sent()[0].1.payload_text(), r#""a""#);
}

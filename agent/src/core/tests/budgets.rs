use super::*;
use crate::core::Observed;

fn limited(change: impl FnOnce(&mut Config)) -> Rig {
    let mut rig = Rig::with(change);
    rig.register_and_renew();
    rig
}

fn answer(rig: &mut Rig, call: CallNumber) {
    rig.input(Input::Answered {
        call,
        result: ok(json!(1)),
    });
}

#[test]
fn waiting_requests_are_bounded() {
    let mut rig = limited(|config| config.waiting_calls = 2);
    rig.get("u", 1);
    let tokens: Vec<Token> = (0..3)
        .map(|n| rig.request("u", json!(n), &format!("r{n}")))
        .collect();
    assert_eq!(rig.code(tokens[2]), ErrorCode::Busy);
    assert_eq!(rig.agent.figures().waiting, 2);
}

#[test]
fn requests_of_a_container_without_an_answer_are_bounded() {
    let mut rig = limited(|config| config.calls_per_container = 2);
    rig.living("u", 1);
    rig.living("v", 2);
    rig.rust_hello("x", "c2");
    let first = rig.request("u", json!(1), "r1");
    assert!(rig.ask("x", "r1", "u", Value::Null).is_empty());
    let routed = rig.request("u", json!(1), "r2");
    assert_eq!(rig.code(routed), ErrorCode::Busy);
    let sent = rig.ask("x", "r2", "u", Value::Null);
    assert_eq!(sent_code(&sent), ErrorCode::Busy);
    assert_eq!(rig.dispatched().len(), 2);
    let busy = |effect: &Effect| match effect {
        Effect::Observed(Observed::Request { outcome, .. }) => *outcome == "busy",
        _ => false,
    };
    assert_eq!(rig.out.iter().filter(|effect| busy(effect)).count(), 2);
    // What runs may be asked for again, and others are not concerned.
    let again = rig.request("u", json!(1), "r1");
    rig.request("v", json!(1), "r1");
    let dispatched = rig.dispatched();
    assert_eq!(dispatched.len(), 3);
    // An answer makes room; one who was refused may come again.
    answer(&mut rig, dispatched[0].1);
    assert!(rig.answer(first).is_ok() && rig.answer(again).is_ok());
    rig.request("u", json!(1), "r2");
    assert_eq!(rig.dispatched().len(), 4);
}

#[test]
fn those_that_wait_and_those_that_run_share_the_budget() {
    let mut rig = limited(|config| config.calls_per_container = 2);
    rig.living("u", 1);
    rig.request("u", json!(1), "r1");
    rig.pause(5_000 * MS);
    rig.request("u", json!(1), "r2");
    let third = rig.request("u", json!(1), "r3");
    assert_eq!(rig.code(third), ErrorCode::Busy);
    assert_eq!(rig.agent.figures().waiting, 1);
}

#[test]
fn a_client_of_the_router_has_a_budget_too() {
    for rust in [false, true] {
        let mut rig = limited(|config| config.requests_in_flight = 2);
        rig.living("u", 1);
        match rust {
            true => rig.rust_hello("x", "c1"),
            false => rig.hello("x", "c1"),
        };
        rig.ask("x", "r0", "u", Value::Null);
        rig.ask("x", "r1", "u", Value::Null);
        let sent = rig.ask("x", "r2", "u", Value::Null);
        match rust {
            true => assert_eq!(sent_code(&sent), ErrorCode::Busy),
            false => assert_eq!(sent[0].1, Frame::new(Op::Retry, "r2", "1")),
        }
        if rust {
            let sent = rig.ask("x", "r9", "u", json!({ "epoch": [1, 1] }));
            assert_eq!(sent_code(&sent), ErrorCode::OutcomeUnknown, "sent before");
        }
        assert_eq!(rig.dispatched().len(), 2);
        // It is the client's alone, whatever it asks for besides goes through.
        rig.hello("y", "c2");
        rig.ask("y", "r0", "u", Value::Null);
        assert_eq!(rig.dispatched().len(), 3);
        let sent = rig.message("x", Op::Request, "r3", r#"["cc",{"uuid":"u"}]"#);
        assert_eq!(sent[0].1, Frame::new(Op::Response, "r3", "1"));
        let sent = rig.message("x", Op::Request, "r4", r#"["cd",{"uuid":"u"}]"#);
        assert_eq!(sent[0].1, Frame::new(Op::Response, "r4", r#""ok""#));
        let call = rig.dispatched()[0].1;
        answer(&mut rig, call);
        rig.ask("x", "r2", "u", Value::Null);
        assert_eq!(rig.dispatched().len(), 4);
    }
}

/// What is sent to a client of the ROUTER for a request of so many bytes.
fn direct(rig: &mut Rig, id: &str, uuid: &str, bytes: usize) -> Vec<(String, Frame)> {
    let payload = json!(["cs", [uuid, "do", "x".repeat(bytes)]]).to_string();
    rig.message("x", Op::Request, id, &payload)
}

#[test]
fn requests_are_bounded_in_bytes_too() {
    let data = || json!("x".repeat(4_000));
    let mut rig = limited(|config| config.bytes_per_container = 10_000);
    rig.living("u", 1);
    rig.living("v", 2);
    rig.hello("x", "c2");
    rig.request("u", data(), "r1");
    direct(&mut rig, "r1", "u", 4_000);
    let routed = rig.request("u", data(), "r2");
    assert_eq!(rig.code(routed), ErrorCode::Busy);
    // A TypeScript client sends again what is not taken.
    let sent = direct(&mut rig, "r2", "u", 4_000);
    assert_eq!(sent[0].1, Frame::new(Op::Retry, "r2", "1"));
    rig.request("v", json!("x".repeat(20_000)), "r3");
    assert_eq!(rig.dispatched().len(), 3, "one is taken whatever its size");
    let call = rig.dispatched()[0].1;
    answer(&mut rig, call);
    direct(&mut rig, "r2", "u", 4_000);
    assert_eq!(rig.dispatched().len(), 4);
}

#[test]
fn a_client_of_the_router_has_a_budget_of_bytes() {
    for rust in [false, true] {
        let mut rig = limited(|config| config.bytes_in_flight = 10_000);
        for (uuid, epoch) in [("u", 1), ("v", 2)] {
            rig.living(uuid, epoch);
        }
        match rust {
            true => rig.rust_hello("x", "c1"),
            false => rig.hello("x", "c1"),
        };
        direct(&mut rig, "r0", "u", 20_000);
        let sent = rig.ask("x", "r1", "v", Value::Null);
        match rust {
            true => assert_eq!(sent_code(&sent), ErrorCode::Busy),
            false => assert_eq!(sent[0].1, Frame::new(Op::Retry, "r1", "1")),
        }
        let sent = rig.message("x", Op::Request, "r3", r#"["cc",{"uuid":"u"}]"#);
        assert_eq!(sent[0].1, Frame::new(Op::Response, "r3", "1"));
        let call = rig.dispatched()[0].1;
        answer(&mut rig, call);
        rig.ask("x", "r1", "v", Value::Null);
        assert_eq!(rig.dispatched().len(), 2);
    }
}

#[test]
fn a_container_that_says_busy_is_asked_again() {
    let mut rig = limited(|_| {});
    rig.living("u", 1);
    rig.hello("x", "c1");
    rig.ask("x", "r1", "u", Value::Null);
    let busy = ErrorPayload::new(ErrorCode::Busy, "not now");
    let call = rig.dispatched()[0].1;
    rig.input(Input::Answered {
        call,
        result: Err(busy),
    });
    assert!(rig.out.iter().any(|effect| match effect {
        Effect::Send { frame, .. } => *frame == Frame::new(Op::Retry, "r1", "1"),
        _ => false,
    }));
    // It said that it did nothing: the same request is not answered with that again.
    rig.ask("x", "r1", "u", Value::Null);
    assert_eq!(rig.dispatched().len(), 2);
}

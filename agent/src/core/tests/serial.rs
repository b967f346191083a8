//! Serial kinds, and requests that would wait for themselves.

use super::*;

/// A container of a serial kind, or of one that is not.
fn living(rig: &mut Rig, uuid: &str, serial: bool) -> Run {
    let spec = json!({ "kind": "echo", "revision": 1, "serial": serial });
    rig.placed(uuid, &json!({ "epoch": [10, 1], "spec": spec }))
}

fn seeds(rig: &Rig) -> Vec<bool> {
    let serial = |effect: &Effect| match effect {
        Effect::Start { seed, .. } | Effect::Activate { seed, .. } => Some(seed.serial),
        _ => None,
    };
    rig.out.iter().filter_map(serial).collect()
}

/// A request for which those wait, in the requests of those numbers.
fn request(rig: &mut Rig, uuid: &str, id: &str, chain: &Value) -> Token {
    let ext = json!({ "client": "c1", "request": id, "chain": chain });
    rig.call("cs", json!([uuid, "do", id]), ext)
}

#[test]
fn the_specification_of_its_start_says_whether_a_container_is_serial() {
    let mut rig = Rig::registered();
    living(&mut rig, "u", true);
    living(&mut rig, "v", false);
    rig.living("w", 1);
    let mut rig = Rig::registered();
    living(&mut rig, "u", true);
    rig.call(
        "ks",
        json!([{ "kind": "echo", "revision": 2 }]),
        Value::Null,
    );
    rig.get("v", 1);
    assert_eq!(seeds(&rig), [true, false]);
    // The server is told again by what it lives.
    rig.out.clear();
    rig.input(Input::Register);
    let registration = rig.registrations().pop().unwrap();
    let huly = registration.containers[0].huly.clone().unwrap();
    assert!(huly.spec.unwrap().serial);
}

#[test]
fn a_serial_container_is_not_asked_for_what_it_waits_for_itself() {
    for serial in [true, false] {
        let mut rig = Rig::registered();
        living(&mut rig, "u", serial);
        request(&mut rig, "u", "r1", &json!([]));
        let number = rig.dispatched()[0].1.0;
        let back = request(&mut rig, "u", "r2", &json!([["u", number], ["v", 77]]));
        if !serial {
            assert_eq!(rig.dispatched().len(), 2);
            continue;
        }
        let error = rig.answer(back).unwrap_err();
        assert_eq!(error.code, Some(ErrorCode::Reentrant));
        assert!(error.message.contains("u → v → u"), "{}", error.message);
        assert_eq!(rig.dispatched().len(), 1);
        // Nothing is remembered of it: once the first has ended, it may run.
        rig.input(Input::Answered {
            call: CallNumber(number),
            result: ok(json!(1)),
        });
        request(&mut rig, "u", "r2", &json!([["u", number], ["v", 77]]));
        assert_eq!(rig.dispatched().len(), 2);
    }
}

#[test]
fn it_waits_for_others_requests_and_for_those_of_another_life() {
    let mut rig = Rig::registered();
    living(&mut rig, "u", true);
    request(&mut rig, "u", "r1", &json!([]));
    let number = rig.dispatched()[0].1.0;
    for (id, chain) in [
        ("r2", json!([["v", number]])),
        ("r3", json!([["u", number + 1_000]])),
    ] {
        request(&mut rig, "u", id, &chain);
    }
    assert_eq!(rig.dispatched().len(), 3);
}

#[test]
fn so_many_wait_for_one_request_and_no_more() {
    let mut rig = Rig::registered();
    living(&mut rig, "u", false);
    let chain = |count: u64| (0..count).map(|n| json!(["v", n])).collect::<Value>();
    request(&mut rig, "u", "r1", &chain(63));
    assert_eq!(rig.dispatched().len(), 1);
    let token = request(&mut rig, "u", "r2", &chain(64));
    assert_eq!(rig.code(token), ErrorCode::Exhausted);
    let token = request(&mut rig, "u", "r3", &chain(65));
    assert_eq!(rig.code(token), ErrorCode::BadRequest);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn those_who_ask_directly_say_it_too() {
    let mut rig = Rig::registered();
    living(&mut rig, "u", true);
    rig.rust_hello("x", "c1");
    rig.ask("x", "r1", "u", Value::Null);
    let number = rig.dispatched()[0].1.0;
    let sent = rig.ask("x", "r2", "u", json!({ "chain": [["u", number]] }));
    assert_eq!(sent_code(&sent), ErrorCode::Reentrant);
}

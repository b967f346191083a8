//! Requests that reach an agent as their container ends: the agent says that they did not run.

use huly_protocol::Op;
use huly_registry::Config;
use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, World, config, text};

/// A container on `a`, which takes nothing new and leaves requests unanswered; `b` could have it.
fn ending() -> (World, Peer, Peer, Peer) {
    ending_in(config())
}

fn ending_in(config: Config) -> (World, Peer, Peer, Peer) {
    let mut world = World::starting(config);
    world.run(61_000);
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world[first].sim().mute = vec!["cs"];
    world[first].sim().draining = true;
    world.register(first);
    (world, first, second, client)
}

/// `a` answers its call of that number with a code.
fn refuse(world: &mut World, agent: Peer, number: usize, code: &str) {
    let id = world[agent].sim().called("cs")[number].id.clone();
    let error = json!({"message": "it ends", "stack": "", "code": code});
    world.say(agent, Op::ResponseError, &id, error.to_string());
}

/// The container on `a` has ended.
fn end(world: &mut World, agent: Peer) {
    let copy = world[agent].sim().containers.remove("u").unwrap();
    let record = json!({
        "agentId": "a", "uuid": "u", "kind": "k", "endpoint": copy.endpoint, "lastVisit": 0,
        "huly": {"epoch": copy.huly["epoch"]},
    });
    let removed = json!({"agents": [], "containers": [{"event": 2, "container": record}]});
    world.ask(agent, "cu", removed).unwrap();
}

/// The code that a request failed with.
fn said(world: &World, client: Peer, id: &str) -> String {
    let answer = world.answer(client, id).expect("it is answered");
    text(&answer.unwrap_err()["code"])
}

fn did(world: &World, client: Peer, id: &str) -> Value {
    let answer = world.answer(client, id).expect("it is answered");
    let answer = answer.unwrap();
    assert_eq!(answer["on"], "b");
    answer["did"].clone()
}

#[test]
fn they_run_in_the_next_life_in_the_order_sent() {
    let (mut world, first, second, client) = ending();
    world[second].sim().mute = vec!["gg"];
    let ask = |world: &mut World, name: &str| {
        let params = json!(["u", name, {"n": 0.10}]);
        world.request(client, "cs", params)
    };
    let one = ask(&mut world, "one");
    let two = ask(&mut world, "two");
    refuse(&mut world, first, 0, "interrupted");
    let three = ask(&mut world, "three");
    end(&mut world, first);
    // The server knows of the end by now, but not what became of two and three.
    let four = ask(&mut world, "four");
    refuse(&mut world, first, 1, "gone");
    refuse(&mut world, first, 2, "noSuchContainer");
    assert_eq!(world.registry.snapshot().held.0, 4);

    let start = world[second].sim().called("gg")[0].clone();
    world.answer_call(second, &start);
    for (id, name) in [
        (&one, "one"),
        (&two, "two"),
        (&three, "three"),
        (&four, "four"),
    ] {
        assert_eq!(did(&world, client, id), name);
    }
    let ran: Vec<String> = world[second]
        .sim()
        .ran
        .iter()
        .map(|ran| ran.1.clone())
        .collect();
    assert_eq!(ran, ["one", "two", "three", "four"]);
    assert_eq!(world.registry.snapshot().held, (0, 0));
    assert_eq!(world.registry.snapshot().calls, 0);
}

/// The next life may have begun with what its client sent later.
#[test]
fn what_is_refused_when_the_next_life_has_begun_may_be_sent_again() {
    for code in ["gone", "interrupted", "noSuchContainer"] {
        let (mut world, first, second, client) = ending();
        let early = world.request(client, "cs", json!(["u", "early", 1]));
        end(&mut world, first);
        let late = world.request(client, "cs", json!(["u", "late", 2]));
        assert_eq!(did(&world, client, &late), "late");
        refuse(&mut world, first, 0, code);
        let error = world.answer(client, &early).unwrap().unwrap_err();
        assert_eq!(error["code"], "interrupted", "{error}");
        assert_eq!(world[second].sim().called("cs").len(), 1);
    }
}

#[test]
fn what_an_agent_does_not_answer_any_more_may_have_run() {
    let (mut world, first, _, client) = ending();
    let id = world.request(client, "cs", json!(["u", "op", 1]));
    end(&mut world, first);
    assert_eq!(world.answer(client, &id), None, "the agent is there to say");
    world.close(first);
    world.run(2_000);
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
}

#[test]
fn a_refusal_after_a_lost_connection_may_come_after_a_lost_answer() {
    let (mut world, first, second, client) = ending();
    let id = world.request(client, "cs", json!(["u", "op", 1]));
    world.close(first);
    world.reconnect(first);
    refuse(&mut world, first, 0, "noSuchContainer");
    end(&mut world, first);
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert_eq!(world[second].sim().called("cs").len(), 0);
}

#[test]
fn what_was_sent_before_is_not_said_to_have_not_run() {
    for code in ["busy", "timedOut"] {
        let (mut world, first, _, client) = ending();
        let id = world.request(client, "cs", json!(["u", "op", 1]));
        refuse(&mut world, first, 0, code);
        assert_eq!(said(&world, client, &id), code, "sent once");

        // The first answer to it may be lost, and forgotten by the agent.
        let id = world.request(client, "cs", json!(["u", "op", 1]));
        world.close(first);
        world.reconnect(first);
        refuse(&mut world, first, 1, code);
        assert_eq!(said(&world, client, &id), "outcomeUnknown");

        let records = world.ask(client, "cl", json!({})).unwrap();
        let epoch = records[0]["huly"]["epoch"].clone();
        let id = world.request(client, "cs", json!(["u", "op", 1, {"epoch": epoch}]));
        let number = world[first].sim().called("cs").len() - 1;
        refuse(&mut world, first, number, code);
        assert_eq!(said(&world, client, &id), "outcomeUnknown");
    }
}

#[test]
fn a_typescript_client_is_asked_again_for_what_was_sent_once_alone() {
    let (mut world, first, _, _) = ending();
    let plain = world.client("p", Plain);
    let id = world.request(plain, "cs", json!(["u", "op", 1]));
    refuse(&mut world, first, 0, "busy");
    let retried = |world: &World, id: &str| {
        let got = world[plain].got.iter();
        let mut retries = got.filter(|got| got.op == Op::Retry);
        retries.any(|got| got.id == id)
    };
    assert!(retried(&world, &id));

    let id = world.request(plain, "cs", json!(["u", "op", 1]));
    world.close(first);
    world.reconnect(first);
    refuse(&mut world, first, 1, "busy");
    assert!(!retried(&world, &id));
    let error = world.answer(plain, &id).unwrap().unwrap_err();
    let message = text(&error["message"]);
    assert!(message.starts_with("outcome unknown: "), "{message}");
}

#[test]
fn nor_is_what_there_is_no_room_for_when_its_container_ends() {
    let (mut world, first, _, client) = ending_in(Config {
        hold_bytes: 1_000,
        ..config()
    });
    let records = world.ask(client, "cl", json!({})).unwrap();
    let epoch = records[0]["huly"]["epoch"].clone();
    let large = "x".repeat(2_000);
    let fresh = world.request(client, "cs", json!(["u", "op", large]));
    let again = world.request(client, "cs", json!(["u", "op", large, {"epoch": epoch}]));
    refuse(&mut world, first, 0, "gone");
    refuse(&mut world, first, 1, "gone");
    assert_eq!(said(&world, client, &fresh), "busy");
    assert_eq!(said(&world, client, &again), "outcomeUnknown");
}

#[test]
fn one_that_may_have_run_on_another_route_waits_for_no_other_life() {
    let (mut world, first, second, client) = ending();
    let records = world.ask(client, "cl", json!({})).unwrap();
    let epoch = records[0]["huly"]["epoch"].clone();
    let id = world.request(client, "cs", json!(["u", "op", 1, {"epoch": epoch}]));
    refuse(&mut world, first, 0, "gone");
    end(&mut world, first);
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert_eq!(world[second].sim().called("cs").len(), 0);
}

#[test]
fn they_wait_no_longer_than_their_caller() {
    let (mut world, first, _, client) = ending();
    let ext = json!({"timeoutMs": 1_000});
    let id = world.request(client, "cs", json!(["u", "op", 1, ext]));
    refuse(&mut world, first, 0, "gone");
    world.run(850);
    assert_eq!(world.answer(client, &id), None);
    world.run(100);
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "timedOut");
}

#[test]
fn where_nobody_wants_the_container_there_is_no_next_life() {
    let (mut world, first, _, client) = ending();
    let id = world.request(client, "cs", json!(["u", "op", 1]));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    refuse(&mut world, first, 0, "gone");
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "gone");
}

#[test]
fn a_containers_own_error_is_an_answer() {
    let (mut world, first, _, client) = ending();
    let id = world.request(client, "cs", json!(["u", "op", 1]));
    refuse(&mut world, first, 0, "failed");
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "failed");
}

#[test]
fn of_one_that_was_sent_before_the_agent_cannot_say_that_it_did_not_run() {
    let (mut world, first, _, client) = ending();
    let epoch = world[first].sim().containers["u"].huly["epoch"].clone();
    let again = json!(["u", "op", 1, {"epoch": epoch, "timeoutMs": 5_000}]);
    let id = world.request(client, "cs", again);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    refuse(&mut world, first, 0, "noSuchContainer");
    let error = world.answer(client, &id).expect("it is answered");
    assert_eq!(error.unwrap_err()["code"], "outcomeUnknown");
}

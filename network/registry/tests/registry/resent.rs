//! Requests of a client session: what is sent again, and how many there may be.

use huly_protocol::Op;
use serde_json::json;

use crate::support::{Plain, Rust, World, config, uuid_of};

#[test]
fn a_request_in_flight_is_not_executed_twice() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        let client = world.client("c", side);
        world.get(client, "k", json!({"uuid": "u"}));
        world[agent].sim().mute = vec!["cs"];
        for _ in 0..3 {
            world.request_as(client, "r", "cs", json!(["u", "op", 1]));
        }
        world.connect(client);
        world.request_as(client, "r", "cs", json!(["u", "op", 1]));
        let calls = world[agent].sim().called("cs");
        assert_eq!(calls.len(), 1);
        world.answer_call(agent, &calls[0]);
        let answer = world.answer(client, "r").unwrap().unwrap();
        assert_eq!(answer["with"], 1, "over the connection of the day");
    }
}

#[test]
fn answers_to_gets_are_remembered() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let get = json!({"kind": "k", "request": {}, "huly": {"new": true}});
    world.request_as(client, "r", "gg", get.clone());
    world.connect(client);
    world.request_as(client, "r", "gg", get);
    let answers = world.answers(client, "r");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.registry.snapshot().containers["k"], 1);
}

/// What is sent again comes in the order of before: the get, which waits still, came after the
/// release.
#[test]
fn a_release_that_comes_again_takes_nothing_from_a_later_get() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world[second].sim().mute = vec!["gg"];
    world.close(first);
    world.run(1_000);
    let release = json!({"uuid": "u"});
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    world.request_as(client, "release", "cr", release.clone());
    world.request_as(client, "get", "gg", get.clone());
    world.connect(client);
    world.request_as(client, "release", "cr", release);
    world.request_as(client, "get", "gg", get);
    assert_eq!(world.answers(client, "release").len(), 2);
    assert_eq!(world.answer(client, "get"), None, "it has not started");
    let start = world[second].sim().called("gg")[0].clone();
    world.answer_call(second, &start);
    assert!(world.answer(client, "get").unwrap().is_ok());
    assert_eq!(world.registry.snapshot().references["k"], 1);
    world.run(10_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    // Another one takes it away.
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(10_000);
    assert_eq!(world.home(client, "u"), None);
}

/// Also while the container has no agent: where it lives next comes as an event.
#[test]
fn a_remembered_get_names_the_same_container_after_a_failover() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let get = json!({"kind": "k", "request": {}, "huly": {"new": true}});
    world.request_as(client, "r", "gg", get.clone());
    let first = uuid_of(&world.answer(client, "r").unwrap().unwrap());
    world.close(agent);
    world.connect(client);
    world.request_as(client, "r", "gg", get);
    world.agent("b", Rust, &["k"]);
    world.run(1_000);
    let answers = world.answers(client, "r");
    assert_eq!(uuid_of(answers[1].as_ref().unwrap()), first);
    assert_eq!(world.home(client, &first).as_deref(), Some("b"));
}

#[test]
fn above_its_limit_a_client_waits_or_is_told_busy() {
    let mut config = config();
    config.requests_in_flight = 2;
    let mut world = World::starting(config);
    for (side, name) in [(Plain, "p"), (Rust, "r")] {
        let peer = world.client(name, side);
        let ids: Vec<String> = (0..3)
            .map(|n| world.request(peer, "cs", json!([format!("u{n}"), "op", null])))
            .collect();
        assert_eq!(world.answer(peer, &ids[0]), None, "held while settling");
        let last = world[peer].got.last().unwrap();
        assert_eq!(last.id, ids[2]);
        if side == Plain {
            assert_eq!((last.op, &last.payload[..]), (Op::Retry, &b"1"[..]));
        } else {
            let error = world.answer(peer, &ids[2]).unwrap().unwrap_err();
            assert_eq!(error["code"], "busy");
        }
    }
}

/// Nobody here knows whether it ran when it was sent before.
#[test]
fn above_the_limit_a_request_that_was_sent_before_is_not_said_not_to_have_run() {
    let mut config = config();
    config.requests_in_flight = 1;
    let mut world = World::starting(config);
    let peer = world.client("r", Rust);
    world.request(peer, "cs", json!(["u", "op", null]));
    let sent_before = json!(["u", "op", null, {"epoch": [1, 1], "timeoutMs": 1_000}]);
    let error = world.ask(peer, "cs", sent_before).unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
}

/// The agent's first answer was lost with the connection; it hears of its end before that is said again.
#[test]
fn a_start_whose_container_has_ended_is_no_life_when_its_answer_comes() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg"];
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let get = world.request(client, "gg", get);
    let request = world.request(client, "cs", json!(["u", "op", 1]));
    let start = world[agent].sim().called("gg")[0].clone();
    let answer = world[agent].sim().act(&start);
    let copy = world[agent].sim().containers.remove("u").unwrap();
    world.connect(agent);
    let record = json!({
        "agentId": "a", "uuid": "u", "kind": "k", "endpoint": copy.endpoint, "lastVisit": 0,
        "huly": {"epoch": copy.huly["epoch"]},
    });
    let removed = json!({"agents": [], "containers": [{"event": 2, "container": record}]});
    world.ask(agent, "cu", removed).unwrap();
    world.register(agent);
    world.say(agent, Op::Response, &start.id, answer.unwrap().to_string());
    assert_eq!(world.answer(client, &get), None, "it does not live");
    world.run(1_000);

    let next = world[agent].sim().called("gg").last().unwrap().clone();
    assert_ne!(next.id, start.id, "who waits for it gets the next life");
    world.answer_call(agent, &next);
    assert!(world.answer(client, &get).unwrap().is_ok());
    assert!(world.answer(client, &request).unwrap().is_ok());
    let life = world[agent].sim().containers["u"].huly["epoch"].clone();
    assert_ne!(life, copy.huly["epoch"]);
}

//! How long requests to containers are kept, and how many.

use huly_protocol::{Frame, Op};
use huly_registry::Input;
use serde_json::json;

use crate::support::{Peer, Plain, Rust, World, config};

/// An agent that answers no request, and a client that holds the container `u`.
fn silent() -> (World, Peer, Peer) {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    (world, agent, client)
}

#[test]
fn what_an_ended_client_asked_is_forgotten() {
    for side in [Plain, Rust] {
        let (mut world, agent, _) = silent();
        let client = world.client("leaves", side);
        world.request(client, "cs", json!(["u", "op", 1]));
        assert_eq!(world.registry.snapshot().calls, 1);
        world.say(client, Op::Close, "", "");
        assert_eq!(world.registry.snapshot().calls, 0);
        let call = world[agent].sim().called("cs").pop().unwrap();
        world.answer_call(agent, &call);
        let counted = world.registry.snapshot().counted.bad_messages;
        assert_eq!(counted["late_answer"], 1);
        assert!(!counted.contains_key("unknown_answer"));
    }
}

#[test]
fn what_another_incarnation_asked_is_forgotten() {
    let (mut world, _, client) = silent();
    world.request(client, "cs", json!(["u", "op", 1]));
    world[client].nonce = "another process".into();
    world.connect(client);
    assert_eq!(world.registry.snapshot().calls, 0);
}

#[test]
fn a_request_is_forgotten_when_its_caller_has_given_it_up() {
    let (mut world, agent, client) = silent();
    let id = world.request(client, "cs", json!(["u", "op", 1, {"timeoutMs": 5_000}]));
    let told = world[agent].sim().called("cs").pop().unwrap().ext;
    assert_eq!(told["timeoutMs"], 5_000);
    world.run(5_500);
    assert_eq!(
        world.registry.snapshot().calls,
        1,
        "an answer may be on its way"
    );
    world.run(1_000);
    assert_eq!(world.registry.snapshot().calls, 0);
    assert_eq!(world.answer(client, &id), None, "nobody waits for it");
}

#[test]
fn who_waits_for_its_container_learns_in_time_that_it_did_not_run() {
    let mut world = World::starting(config());
    let client = world.client("c", Rust);
    let id = world.request(client, "cs", json!(["u", "op", 1, {"timeoutMs": 1_000}]));
    world.run(850);
    assert_eq!(world.answer(client, &id), None);
    world.run(100);
    let error = world.answer(client, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "timedOut");
    assert!(error["message"].as_str().unwrap().contains("did not run"));
    assert_eq!(world.registry.snapshot().held, (0, 0));
}

#[test]
fn what_was_held_is_handed_on_with_the_time_that_is_left() {
    let mut world = World::starting(config());
    let client = world.client("c", Rust);
    world.request(client, "cs", json!(["u", "op", 1, {"timeoutMs": 10_000}]));
    world.run(400);
    let peer = world.peer("client-of-a", Rust);
    let mut agent = crate::support::AgentSim::new("a", Rust, &["k"]);
    agent.put("u", "k", json!({"epoch": [1, 1]}));
    agent.mute = vec!["cs"];
    world[peer].agent = Some(agent);
    world.connect(peer);
    world.register(peer);
    let told = world[peer].sim().called("cs").pop().unwrap().ext;
    assert_eq!(told["timeoutMs"], 9_600);
}

#[test]
fn the_longest_deadline_there_is_does_no_harm() {
    let (mut world, agent, client) = silent();
    let id = world.request(client, "cs", json!(["u", "op", 1, {"timeoutMs": u64::MAX}]));
    world.run(60_000);
    let call = world[agent].sim().called("cs").pop().unwrap();
    world.answer_call(agent, &call);
    assert!(world.answer(client, &id).unwrap().is_ok());
}

#[test]
fn containers_that_hang_keep_nobody_from_releasing_them() {
    let mut config = config();
    config.requests_in_flight = 2;
    let mut world = World::starting(config);
    let agent = world.agent("a", Rust, &["k"]);
    for side in [Rust, Plain] {
        let client = world.client(&format!("{side:?}"), side);
        let id = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        world.run(1_600);
        assert!(world.answer(client, &id).unwrap().is_ok());
        world[agent].sim().mute = vec!["cs"];
        for n in 0..2 {
            world.request(client, "cs", json!(["u", "op", n]));
        }
        let third = world.request(client, "cs", json!(["u", "op", 3]));
        match side {
            Rust => assert_eq!(
                world.answer(client, &third).unwrap().unwrap_err()["code"],
                "busy"
            ),
            Plain => assert_eq!(world[client].got.last().unwrap().op, Op::Retry),
        }
        // Gets that wait fill their own reserve, and nothing keeps a release.
        world[agent].sim().mute.push("gg");
        let before = world[agent].sim().called("gg").len();
        for n in 0..300 {
            let get = json!({"kind": "k", "request": {"uuid": format!("{side:?}{n}")}});
            world.request(client, "gg", get);
        }
        let starts = world[agent].sim().called("gg").len();
        assert_eq!(starts - before, 256);
        assert!(world.ask(client, "cl", json!({})).is_ok());
        assert!(world.ask(client, "cr", json!({"uuid": "u"})).is_ok());
    }
}

#[test]
fn the_requests_of_one_container_are_bounded_over_all_clients() {
    let mut config = config();
    config.calls_per_container = 2;
    let mut world = World::starting(config);
    let agent = world.agent("a", Rust, &["k"]);
    let (one, two) = (world.client("c", Rust), world.client("d", Plain));
    world.run(1_600);
    world.get(one, "k", json!({"uuid": "u"}));
    world.get(one, "k", json!({"uuid": "v"}));
    world[agent].sim().mute = vec!["cs"];
    let first = world.request(one, "cs", json!(["u", "op", 1]));
    world.request(two, "cs", json!(["u", "op", 2]));
    assert_eq!(
        world.ask(one, "cs", json!(["u", "op", 3])).unwrap_err()["code"],
        "busy"
    );
    let other = world.request(one, "cs", json!(["v", "op", 4]));
    assert_eq!(
        world.answer(one, &other),
        None,
        "another container has room"
    );
    let calls = world[agent].sim().called("cs");
    world.answer_call(agent, &calls[0]);
    assert!(world.answer(one, &first).unwrap().is_ok());
    // One that is given up makes room too.
    world.request(one, "cs", json!(["u", "op", 5]));
    world.say(two, Op::Close, "", "");
    let last = world.request(one, "cs", json!(["u", "op", 6]));
    assert_eq!(world.answer(one, &last), None);
    assert_eq!(world[agent].sim().called("cs").len(), 5);
}

#[test]
fn gets_that_wait_are_bounded_in_bytes() {
    let mut config = config();
    config.hold_bytes = 100;
    let mut world = World::starting(config);
    let client = world.client("c", Rust);
    let get = |extra: &str| json!({"kind": "k", "request": {"extra": {"x": extra}}});
    world.request(client, "gg", get(&"x".repeat(60)));
    let error = world.ask(client, "gg", get(&"x".repeat(60))).unwrap_err();
    assert_eq!(error["code"], "busy");
    world.say(client, Op::Close, "", "");
    assert_eq!(world.registry.snapshot().held, (0, 0));
}

#[test]
fn a_call_that_is_sent_again_says_the_time_that_is_left() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    world.request(client, "cs", json!(["u", "op", 1, {"timeoutMs": 1_000}]));
    world.close(agent);
    world.run(600);
    world.connect(agent);
    let calls = world[agent].sim().called("cs");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1].ext["timeoutMs"], 400);
}

#[test]
fn gets_by_uuid_that_wait_are_bounded_in_bytes() {
    let mut config = config();
    config.hold_bytes = 100;
    let mut world = World::starting(config);
    let client = world.client("c", Rust);
    let mut refused = 0;
    for n in 0..10 {
        let extra = json!({"x": "x".repeat(60)});
        let params = json!({"kind": "k", "request": {"uuid": format!("u{n}"), "extra": extra}});
        let id = world.request(client, "gg", params);
        refused += u32::from(world.answer(client, &id).is_some());
    }
    assert!(
        refused >= 8,
        "only {refused} of 10 were refused, held: {:?}",
        world.registry.snapshot().held
    );
}

/// Of an operation that returns nothing it writes no JSON.
#[test]
fn a_typescript_agent_may_answer_with_nothing() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute.push("cs");
    for nothing in ["", "undefined", "null"] {
        let request = world.request(client, "cs", json!(["u", "do", 1]));
        let call = world[agent].sim().called("cs").pop().unwrap();
        world.say(agent, Op::Response, &call.id, nothing);
        assert_eq!(world.answer(client, &request), Some(Ok(json!(null))));
    }
    let request = world.request(client, "cs", json!(["u", "do", 1]));
    let call = world[agent].sim().called("cs").pop().unwrap();
    world.say(agent, Op::Response, &call.id, "nothing");
    assert!(world.answer(client, &request).unwrap().is_err());
}

/// What waits in its socket when a connection breaks goes out over the next one before the hello.
#[test]
fn a_typescript_agent_may_answer_before_its_hello() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        let client = world.client("c", Rust);
        world.get(client, "k", json!({"uuid": "u"}));
        world[agent].sim().mute.push("cs");
        let request = world.request(client, "cs", json!(["u", "do", 1]));
        let call = world[agent].sim().called("cs").pop().unwrap();
        world.close(agent);
        world.input(Input::Message {
            conn: "the next".into(),
            frame: Frame::new(Op::Response, call.id, "1"),
        });
        world.run(1);
        // A Rust agent says its answers once more, after the hello.
        let answered = (side == Plain).then(|| Ok(json!(1)));
        assert_eq!(world.answer(client, &request), answered);
        world.reconnect(agent);
        let calls = world[agent].sim().called("cs").len();
        assert_eq!(calls, if side == Plain { 1 } else { 2 });
    }
}

/// A registration of before may follow that knows nothing of it.
#[test]
fn what_a_typescript_agent_started_it_is_asked_again() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let before = world[agent].sim().registration();
    world[agent].sim().mute.push("gg");
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let get = world.request(client, "gg", get);
    let call = world[agent].sim().called("gg").pop().unwrap();
    let started = world[agent].sim().act(&call).unwrap();
    world.close(agent);
    world.input(Input::Message {
        conn: "the next".into(),
        frame: Frame::new(Op::Response, call.id, started.to_string()),
    });
    world.connect(agent);
    world.request_as(agent, "client-of-a-100", "ar", before);
    let now = world[agent].sim().registration();
    world.request_as(agent, "client-of-a-101", "ar", now);
    world[agent].sim().mute.clear();
    world.answer_calls(agent);
    world.run(5_000);
    assert!(world.answer(client, &get).unwrap().is_ok());
    assert_eq!(world.home(client, "u").as_deref(), Some("a"), "it goes on");
}

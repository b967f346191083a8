//! Messages that are not the protocol: counted or refused, and nobody else notices.

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, World};

/// A world in which somebody works while others misbehave.
fn world() -> (World, Peer, Peer) {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let good = world.client("good", Rust);
    world.get(good, "k", json!({"uuid": "u"}));
    let bad = world.client("bad", Rust);
    (world, good, bad)
}

fn all_is_well(world: &mut World, good: Peer) {
    assert_eq!(
        world.ask(good, "cs", json!(["u", "op", 1])).unwrap()["on"],
        "a"
    );
    world.run(4_000);
    assert_eq!(world.home(good, "u").as_deref(), Some("a"));
}

#[test]
fn a_request_that_cannot_be_read_gets_an_error() {
    let (mut world, good, bad) = world();
    let payloads: [&[u8]; 8] = [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"[1]",
        b"{}",
        b"[\"al\"",
        b"[\"no such method\",{}]",
    ];
    for (number, payload) in payloads.iter().enumerate() {
        let id = format!("r{number}");
        world.say(bad, Op::Request, &id, payload.to_vec());
        let error = world.answer(bad, &id).unwrap().unwrap_err();
        assert_eq!(error["code"], "badRequest", "{payload:?}");
    }
    let counted = world.registry.snapshot().counted;
    assert_eq!(
        counted.bad_messages.values().sum::<u64>(),
        7,
        "the last can be read"
    );
    assert_eq!(counted.requests[&("unknown", "badRequest")], 8);
    all_is_well(&mut world, good);
}

#[test]
fn wrong_parameters_are_named() {
    let (mut world, good, bad) = world();
    let methods = ["ar", "au", "cl", "gg", "cr", "cs", "cu", "xg", "xr"];
    for method in methods {
        for params in [
            json!(7),
            json!([1]),
            json!({"uuid": 7, "kind": 7, "gets": 7, "containers": 7}),
        ] {
            let error = world.ask(bad, method, params.clone()).unwrap_err();
            assert_eq!(error["code"], "badRequest", "{method} {params}");
            assert!(
                error["message"].as_str().unwrap().contains(method),
                "{error}"
            );
        }
    }
    let operator = world.operator();
    for method in ["ks", "kr", "xs"] {
        let error = world.ask(operator, method, json!(7)).unwrap_err();
        assert_eq!(error["code"], "badRequest", "{method}");
    }
    all_is_well(&mut world, good);
}

#[test]
fn unexpected_ops_and_unreadable_messages_are_counted() {
    let (mut world, good, bad) = world();
    for op in [Op::Event, Op::Pong, Op::Retry, Op::AskHello] {
        world.say(bad, op, "x", "{}");
    }
    world.input(huly_registry::Input::Unreadable {
        reason: "unknown_op",
    });
    let counted = world.registry.snapshot().counted.bad_messages;
    assert_eq!((counted["unexpected_op"], counted["unknown_op"]), (4, 1));
    assert_eq!(world.registry.snapshot().sessions.1, 3);
    all_is_well(&mut world, good);
}

#[test]
fn answers_nobody_asked_for_are_ignored() {
    let (mut world, good, bad) = world();
    let agent = world
        .peers
        .iter()
        .position(|peer| peer.agent.is_some())
        .map(Peer)
        .unwrap();
    world[agent].sim().mute = vec!["cs"];
    let id = world.request(good, "cs", json!(["u", "op", 1]));
    let call = world[agent].sim().called("cs").pop().unwrap();
    // Another peer's answer to the agent's call, and ids that never were.
    for id in [
        call.id.as_str(),
        "instance-1-",
        "instance-1-99999",
        "instance-1-x",
        "bad-0",
        "é",
    ] {
        world.say(bad, Op::Response, id, "\"evil\"");
        world.say(bad, Op::ResponseError, id, "{}");
    }
    assert_eq!(world.answer(good, &id), None);
    assert_eq!(
        world.registry.snapshot().counted.bad_messages["unknown_answer"],
        12
    );
    world[agent].sim().mute.clear();
    world.answer_call(agent, &call);
    assert!(world.answer(good, &id).unwrap().is_ok());
    // A second answer to the same call changes nothing.
    world.answer_call(agent, &call);
    assert!(world.answer(good, &id).is_some());
    let counted = world.registry.snapshot().counted.bad_messages;
    assert_eq!(counted["late_answer"], 1);
    all_is_well(&mut world, good);
}

#[test]
fn an_agent_that_answers_with_nonsense_fails_what_was_asked_alone() {
    let (mut world, good, _) = world();
    let agent = world.agent("z", Rust, &["odd"]);
    world[agent].sim().mute = vec!["gg"];
    for nonsense in ["", "{", "[]", "[7,7]", "null", "\"x\"", "[\"\",\"\"]"] {
        let id = world.request(good, "gg", json!({"kind": "odd", "request": {"uuid": "o"}}));
        let call = world[agent].sim().called("gg").pop().unwrap();
        world.say(agent, Op::Response, &call.id, nonsense);
        let answer = world
            .answer(good, &id)
            .unwrap_or_else(|| panic!("{nonsense:?} hangs"));
        assert!(answer.is_err(), "{nonsense}: {answer:?}");
    }
    let plain = world.agent("y", Plain, &["chosen"]);
    world[plain].sim().mute = vec!["gg"];
    let id = world.request(good, "gg", json!({"kind": "chosen", "request": {}}));
    let call = world[plain].sim().called("gg").pop().unwrap();
    world.say(plain, Op::Response, &call.id, "[\"\",\"\"]");
    assert!(
        world.answer(good, &id).unwrap().is_err(),
        "a uuid has at least a character"
    );
    all_is_well(&mut world, good);
}

#[test]
fn a_request_answered_with_what_is_not_json_fails() {
    let (mut world, good, _) = world();
    let agent = world
        .peers
        .iter()
        .position(|peer| peer.agent.is_some())
        .map(Peer)
        .unwrap();
    for (payload, fine) in [("", false), ("{", false), ("1 2", false), ("null", true)] {
        world[agent].sim().mute = vec!["cs"];
        let id = world.request(good, "cs", json!(["u", "op", 1]));
        let call = world[agent].sim().called("cs").pop().unwrap();
        world.say(agent, Op::Response, &call.id, payload);
        assert_eq!(
            world.answer(good, &id).unwrap().is_ok(),
            fine,
            "{payload:?}"
        );
    }
    let id = world.request(good, "cs", json!(["u", "op", 1]));
    let call = world[agent].sim().called("cs").pop().unwrap();
    world.say(agent, Op::ResponseError, &call.id, "plain words");
    assert_eq!(
        world.answer(good, &id).unwrap().unwrap_err()["message"],
        "plain words"
    );
    world[agent].sim().mute.clear();
    all_is_well(&mut world, good);
}

#[test]
fn bad_hellos_are_counted_and_end_nothing() {
    let (mut world, good, bad) = world();
    for payload in [
        "{",
        "7",
        "\"x\"",
        r#"{"huly": 7}"#,
        r#"{"aliveTimeout": "long"}"#,
    ] {
        world.say(bad, Op::Hello, "bad", payload);
    }
    world.say(bad, Op::Hello, &"x".repeat(300), "{}");
    let counted = world.registry.snapshot().counted.bad_messages;
    assert_eq!(
        (counted["bad_hello"], counted["client_id_too_long"]),
        (5, 1)
    );
    assert!(
        world.ask(bad, "ak", json!({})).is_ok(),
        "it is still who it was"
    );
    for odd in ["-1", "0", "1e300", "1e-300", "null"] {
        world.say(
            bad,
            Op::Hello,
            "bad",
            format!("{{\"aliveTimeout\": {odd}}}"),
        );
    }
    all_is_well(&mut world, good);
}

#[test]
fn one_connection_that_says_hello_as_another_client_leaves_the_first() {
    let (mut world, good, bad) = world();
    world.get(bad, "k", json!({"uuid": "u"}));
    let hello = world[bad].hello().to_string();
    world.say(bad, Op::Hello, "worse", hello);
    assert!(world.ask(bad, "ak", json!({})).is_ok());
    world.run(4_000);
    assert_eq!(
        world.registry.snapshot().references["k"],
        1,
        "the first was silent since"
    );
    all_is_well(&mut world, good);
}

#[test]
fn records_that_cannot_be_are_left_out() {
    let (mut world, good, bad) = world();
    let record = |uuid: &str| json!({"agentId": "b", "uuid": uuid, "kind": "k", "endpoint": "e"});
    let register = |containers: Vec<Value>| json!({"uuid": "b", "kinds": ["k"], "containers": containers, "huly": {}});
    let containers = vec![record(""), record(&"x".repeat(5_000)), record("fine")];
    assert_eq!(world.ask(bad, "ar", register(containers)), Ok(json!([])));
    assert_eq!(
        world.registry.snapshot().counted.bad_messages["bad_record"],
        2
    );
    assert_eq!(world.registry.snapshot().containers["k"], 2);
    let error = world.ask(bad, "ar", json!({"uuid": ""})).unwrap_err();
    assert_eq!(error["code"], "badRequest");
    // One uuid twice is one container.
    world
        .ask(bad, "ar", register(vec![record("fine"), record("fine")]))
        .unwrap();
    assert_eq!(world.registry.snapshot().containers["k"], 2);
    all_is_well(&mut world, good);
}

#[test]
fn the_largest_numbers_do_no_harm() {
    let (mut world, good, bad) = world();
    let max = u64::MAX;
    let huly = json!({"epoch": [max, max], "failovers": u32::MAX});
    let record = json!({"agentId": "b", "uuid": "v", "kind": "k", "endpoint": "e", "huly": huly});
    let register = json!({"uuid": "b", "kinds": ["k"], "containers": [record], "huly": {}});
    world.ask(bad, "ar", register).unwrap();
    world.get(good, "k", json!({"uuid": "v"}));
    world.ask(bad, "au", json!({"uuid": "b"})).unwrap();
    assert_eq!(world.home(good, "v").as_deref(), Some("a"));
    let gets = json!({"gets": [{"uuid": "w", "kind": "k", "agentId": "b", "failovers": u32::MAX,
        "epoch": [max, max]}]});
    world.ask(bad, "xr", gets).unwrap();
    let spec = json!({"kind": "k", "revision": max, "idleTimeoutMs": max, "startTimeoutMs": max,
        "terminationGraceMs": max, "maxPerAgent": u32::MAX});
    world.specify(spec);
    world.get(bad, "k", json!({"uuid": "x"}));
    world.ask(bad, "cr", json!({"uuid": "x"})).unwrap();
    all_is_well(&mut world, good);
}

#[test]
fn unfinished_registrations_are_bounded() {
    let (mut world, good, bad) = world();
    let records: Vec<_> = (0..50_000)
        .map(|n| json!({"agentId": "x", "uuid": format!("x{n}"), "kind": "k", "endpoint": "", "lastVisit": 0}))
        .collect();
    let chunk = |agent: &str, n: usize| {
        json!({"uuid": agent, "kinds": ["k"], "containers": records,
               "huly": {"labels": {}, "chunk": [n, false]}})
    };
    for n in 0..5 {
        assert!(
            world
                .ask(bad, "ar", chunk(&format!("x{}", n % 2), n / 2))
                .is_ok()
        );
    }
    let error = world.ask(bad, "ar", chunk("x1", 2)).unwrap_err();
    assert_eq!(error["code"], "exhausted");
    // What was given up makes room.
    assert!(world.ask(bad, "ar", chunk("x2", 0)).is_ok());
    all_is_well(&mut world, good);
}

#[test]
fn unfinished_registrations_go_with_their_client() {
    let (mut world, good, bad) = world();
    let chunk = |number: u32, last: bool| json!({"uuid": "b", "kinds": ["k"], "containers": [], "huly": {"chunk": [number, last]}});
    world.ask(bad, "ar", chunk(0, false)).unwrap();
    world.say(bad, Op::Close, "", "");
    world.connect(bad);
    assert!(world.ask(bad, "ar", chunk(1, true)).is_err());
    all_is_well(&mut world, good);
}

//! Which container answers a get (W13–W16, W30).

use huly_protocol::Op;
use serde_json::json;

use crate::support::{Plain, Rust, World, config, uuid_of};

#[test]
fn a_uuid_names_its_container_whatever_its_kind() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k", "other"]);
        let client = world.client("c", side);
        let second = world.client("d", side);
        assert_eq!(world.get(client, "k", json!({"uuid": "u"})), "u");
        assert_eq!(world.get(second, "other", json!({"uuid": "u"})), "u");
        assert_eq!(world[agent].sim().called("gg").len(), 1);
        assert_eq!(world.registry.snapshot().references["k"], 2);
    }
}

#[test]
fn a_get_is_answered_with_the_agents_endpoint_byte_for_byte() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let plain = world.client("p", Plain);
    let rust = world.client("r", Rust);
    let got = world.ask(plain, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let got = got.unwrap();
    let endpoint = world[agent].sim().containers["u"].endpoint.clone();
    assert_eq!(got, json!(["u", endpoint]));
    let got = world
        .ask(rust, "gg", json!({"kind": "k", "request": {"uuid": "u"}}))
        .unwrap();
    assert_eq!(got[1], endpoint);
    assert_eq!(got[2]["agentId"], "a");
    assert_eq!(got[2]["kind"], "k");
    assert!(endpoint.contains(&format!("\"epoch\":{}", got[2]["epoch"])));
}

#[test]
fn who_asks_while_it_starts_joins() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        world.agent("b", side, &["other"]);
        let (one, two) = (world.client("c", side), world.client("d", side));
        world[agent].sim().mute = vec!["gg"];
        let first = world.request(one, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        let second = world.request(two, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        let calls = world[agent].sim().called("gg");
        assert_eq!(calls.len(), 1);
        assert_eq!(world.answer(one, &first), None);
        world.answer_call(agent, &calls[0]);
        let got = world.answer(one, &first).unwrap().unwrap();
        assert_eq!(world.answer(two, &second).unwrap().unwrap()[1], got[1]);
    }
}

#[test]
fn a_strict_get_refuses_another_kind_and_leaves_no_reference() {
    let mut world = World::new();
    world.agent("a", Rust, &["k", "other"]);
    let (one, two) = (world.client("c", Rust), world.client("d", Rust));
    world.get(one, "k", json!({"uuid": "u"}));
    let strict = json!({"strict": true});
    let error = world
        .get_with(two, "other", json!({"uuid": "u"}), strict.clone())
        .unwrap_err();
    assert_eq!(error["code"], "otherKind");
    assert_eq!(world.registry.snapshot().references["k"], 1);
    assert!(
        world
            .get_with(two, "k", json!({"uuid": "u"}), strict)
            .is_ok()
    );
}

#[test]
fn labels_find_the_oldest_that_has_them_all_anywhere() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let new = json!({"new": true});
    let oldest = world
        .get_with(client, "k", json!({"labels": ["x", "y"]}), new.clone())
        .unwrap();
    let second = world
        .get_with(client, "k", json!({"labels": ["x", "y"]}), new)
        .unwrap();
    assert_ne!(oldest[0], second[0], "new never reuses");
    for labels in [json!(["x"]), json!(["y"]), json!(["y", "x"])] {
        let got = world.get(client, "k", json!({"labels": labels}));
        assert_eq!(got, uuid_of(&oldest));
    }
    let other = world.get(client, "k", json!({"labels": ["x", "z"]}));
    assert!(other != uuid_of(&oldest) && other != uuid_of(&second));
    // One that was asked for by its uuid is nobody else's.
    world.get(client, "k", json!({"uuid": "u", "labels": ["w"]}));
    assert_ne!(world.get(client, "k", json!({"labels": ["w"]})), "u");
}

#[test]
fn labels_join_one_that_is_starting() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg"];
    let get = json!({"kind": "k", "request": {"labels": ["x"]}});
    let first = world.request(client, "gg", get.clone());
    let second = world.request(client, "gg", get);
    let calls = world[agent].sim().called("gg");
    assert_eq!(calls.len(), 1);
    world.answer_call(agent, &calls[0]);
    let one = world.answer(client, &first).unwrap().unwrap();
    assert_eq!(world.answer(client, &second).unwrap().unwrap()[0], one[0]);
}

#[test]
fn without_labels_reuse_is_on_the_agent_that_is_next() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let first = world.get(client, "k", json!({}));
    let second = world.get(client, "k", json!({}));
    assert_ne!(world.home(client, &first), world.home(client, &second));
    let more: Vec<String> = (0..4).map(|_| world.get(client, "k", json!({}))).collect();
    assert_eq!(more, [&first[..], &second, &first, &second]);
}

#[test]
fn a_typescript_agent_chooses_the_uuid_where_none_was_asked() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let plain = world.client("p", Plain);
    let uuid = world.get(plain, "k", json!({"labels": ["x"], "extra": {"n": 1}}));
    assert_eq!(uuid, "made-by-a-1");
    let call = &world[agent].sim().called("gg")[0];
    assert_eq!(
        call.params,
        json!(["k", {"labels": ["x"], "extra": {"n": 1}}])
    );
    assert_eq!(world.home(plain, &uuid).as_deref(), Some("a"));
    assert_eq!(world.registry.snapshot().references["k"], 1);
    let ran = world.ask(plain, "cs", json!([uuid, "op", 5])).unwrap();
    assert_eq!(ran["with"], 5);
    world.ask(plain, "cr", json!({"uuid": uuid})).unwrap();
    world.run(6_000);
    assert_eq!(world.home(plain, &uuid), None);
}

#[test]
fn a_typescript_agent_may_return_one_that_it_has() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let (one, two) = (world.client("c", Plain), world.client("d", Plain));
    let uuid = world.get(one, "k", json!({"labels": ["x"]}));
    world[agent].sim().mute = vec!["gg"];
    let id = world.request(
        two,
        "gg",
        json!({"kind": "k", "request": {"labels": ["y"]}}),
    );
    let call = world[agent].sim().called("gg").pop().unwrap();
    let endpoint = world[agent].sim().containers[&uuid].endpoint.clone();
    let answer = json!([uuid, endpoint]).to_string();
    world.say(agent, huly_protocol::Op::Response, &call.id, answer);
    assert_eq!(world.answer(two, &id), Some(Ok(json!([uuid, endpoint]))));
    assert_eq!(world.registry.snapshot().references["k"], 2);
    assert_eq!(world.registry.snapshot().containers["k"], 1);
}

#[test]
fn another_uuid_than_the_asked_one_is_an_error() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg"];
    let id = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let call = world[agent].sim().called("gg").pop().unwrap();
    world.say(agent, huly_protocol::Op::Response, &call.id, r#"["v","e"]"#);
    assert!(world.answer(client, &id).unwrap().is_err());
    assert_eq!(world.registry.snapshot().references.get("k"), Some(&0));
    assert_eq!(world.home(client, "v"), None);
}

/// The client knows it by the uuid it got: it must keep it, even at agents that would choose.
#[test]
fn a_chosen_uuid_is_kept_at_a_failover_to_a_typescript_agent() {
    let mut world = World::new();
    let first = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Plain);
    let uuid = world.get(client, "k", json!({}));
    world.agent("b", Plain, &["k"]);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(world.home(client, &uuid).as_deref(), Some("b"));
    let ran = world.ask(client, "cs", json!([uuid, "op", null])).unwrap();
    assert_eq!(ran["on"], "b");
}

#[test]
fn a_refused_start_is_told_and_leaves_no_reference() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        world[agent].sim().refuses = Some("not today".into());
        let client = world.client("c", Rust);
        let error = world.ask(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        assert_eq!(error.unwrap_err()["message"], "not today");
        assert_eq!(world.registry.snapshot().references["k"], 0);
        assert_eq!(world.registry.snapshot().waiting.len(), 0);
        world[agent].sim().refuses = None;
        assert_eq!(world.get(client, "k", json!({"uuid": "u"})), "u");
    }
}

/// Told that its get failed, it would wait for another agent's coming, if it was told of one meanwhile.
#[test]
fn a_typescript_client_is_to_send_a_get_again_that_cannot_be_answered_now() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let retried = |world: &World, id: &str| {
        let told = world[client].got.iter().filter(|told| told.id == id);
        let told: Vec<_> = told.map(|told| (told.op, told.payload_text())).collect();
        assert!(
            told.iter().all(|told| *told == (Op::Retry, "1".into())),
            "{told:?}"
        );
        told.len()
    };
    world[agent].sim().refuses = Some("not today".into());
    let id = world.request(client, "gg", get.clone());
    assert_eq!(retried(&world, &id), 1);
    world.request_as(client, &id, "gg", get.clone());
    assert_eq!(retried(&world, &id), 2);
    let snapshot = world.registry.snapshot();
    assert_eq!((snapshot.references["k"], snapshot.waiting.len()), (0, 0));
    world[agent].sim().refuses = None;
    world.request_as(client, &id, "gg", get);
    assert_eq!(uuid_of(&world.answer(client, &id).unwrap().unwrap()), "u");
    // What is wrong stays wrong.
    world[agent].sim().mute.push("gg");
    let id = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "v"}}));
    let call = world[agent].sim().called("gg").pop().unwrap();
    let wrong = json!({"message": "no such label", "stack": "", "code": "badRequest"});
    world.say(agent, Op::ResponseError, &call.id, wrong.to_string());
    assert_eq!(
        world.answer(client, &id).unwrap().unwrap_err()["message"],
        "no such label"
    );
    // Where nobody serves it, whoever comes is news.
    for (kind, uuid) in [("none", "v"), ("k", "")] {
        let get = json!({"kind": kind, "request": {"uuid": uuid}});
        assert!(world.ask(client, "gg", get).is_err());
    }
}

#[test]
fn a_start_that_takes_too_long_is_given_up_and_ended() {
    let mut world = World::new();
    let slow = world.agent("a", Rust, &["k"]);
    let spec = json!({"kind": "k", "revision": 1, "startTimeoutMs": 1_000});
    let operator = world.specify(spec);
    world[slow].sim().mute = vec!["gg"];
    let id = world.request(
        operator,
        "gg",
        json!({"kind": "k", "request": {"uuid": "u"}}),
    );
    world.run(2_900);
    assert_eq!(
        world.answer(operator, &id),
        None,
        "a margin beyond the agent's own time-out"
    );
    world.run(200);
    let error = world.answer(operator, &id).unwrap().unwrap_err();
    assert_eq!(error["code"], "timedOut");
    let call = world[slow].sim().called("gg").pop().unwrap();
    let ended = world[slow]
        .sim()
        .called("ct")
        .pop()
        .expect("its late copy is ended");
    assert_eq!(ended.params, json!(["u"]));
    assert_eq!(ended.ext["epoch"], call.ext["epoch"]);
    // The late answer changes nothing.
    world.answer_call(slow, &call);
    assert_eq!(world.home(operator, "u"), None);
}

#[test]
fn while_settling_a_get_waits_for_its_container_unless_fresh() {
    let mut world = World::starting(config());
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let waits: Vec<String> = [json!({"uuid": "u"}), json!({}), json!({"labels": ["x"]})]
        .into_iter()
        .map(|request| world.request(client, "gg", json!({"kind": "k", "request": request})))
        .collect();
    let fresh = world.get_with(client, "k", json!({"uuid": "f"}), json!({"fresh": true}));
    assert_eq!(fresh.unwrap()[0], "f");
    assert!(
        world
            .get_with(client, "k", json!({}), json!({"new": true}))
            .is_ok()
    );
    world.run(1_400);
    assert!(waits.iter().all(|id| world.answer(client, id).is_none()));
    assert_eq!(world[agent].sim().called("gg").len(), 2);
    world.run(200);
    assert!(
        waits
            .iter()
            .all(|id| world.answer(client, id).unwrap().is_ok())
    );
}

/// W21: it gets again with the original request, without a uuid. Each container answers once, the
/// oldest first.
#[test]
fn a_typescript_client_finds_its_containers_again_after_a_restart() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    // Two containers from equal gets: the first was let go and taken by uuid meanwhile.
    let request = json!({"labels": ["x"]});
    let one = world.get(client, "k", request.clone());
    let copy = world[agent].sim().containers[&one].clone();
    assert_eq!(copy.huly["firstClient"], "c");
    assert_eq!(copy.huly["byUuid"], false);
    let mut younger = copy.clone();
    younger.huly["epoch"][1] = json!(99);
    world[agent]
        .sim()
        .containers
        .insert("z-second".into(), younger);
    world.register(agent);

    world.restart_server();
    let get = json!({"kind": "k", "request": request});
    world.connect(client);
    let first = world.request(client, "gg", get.clone());
    let second = world.request(client, "gg", get.clone());
    world.reconnect(agent);
    let got = |world: &World, id: &str| uuid_of(&world.answer(client, id).unwrap().unwrap());
    let both = [got(&world, &first), got(&world, &second)];
    assert_eq!(both, [one.as_str(), "z-second"], "the oldest first");
    assert_eq!(
        world[agent].sim().called("gg").len(),
        1,
        "nothing new was started"
    );
    // Another client that asks alike does not disturb that.
    let stranger = world.client("s", Plain);
    world.get(stranger, "k", request);
    let third = world.request(client, "gg", get);
    assert!(both.contains(&got(&world, &third)));
}

#[test]
fn names_have_1_to_253_characters() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    for request in [json!({"uuid": ""}), json!({"uuid": "x".repeat(254)})] {
        let error = world.ask(client, "gg", json!({"kind": "k", "request": request}));
        assert_eq!(error.unwrap_err()["code"], "badRequest");
    }
    let long = "ü".repeat(253);
    assert_eq!(world.get(client, "k", json!({"uuid": long})), long);
}

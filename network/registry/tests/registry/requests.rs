//! Requests on their way to containers.

use serde_json::json;

use crate::support::{Plain, Rust, World, config};

#[test]
fn payloads_pass_through_unread() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Plain);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    // A number that no machine type holds, spaces, order of members.
    let odd = r#"["cs",["u","op",{"z": 0.30000000000000000000001 , "a":[ ]}]]"#;
    world.say(client, huly_protocol::Op::Request, "r", odd);
    let got = world[agent].got.last().unwrap();
    assert!(
        got.payload_text()
            .ends_with(r#"["u","op",{"z": 0.30000000000000000000001 , "a":[ ]}]]]"#),
        "{}",
        got.payload_text()
    );
    let id = got.id.clone();
    world.say(agent, huly_protocol::Op::Response, &id, r#"{"y": -0.0 }"#);
    assert_eq!(
        &world[client].got.last().unwrap().payload[..],
        br#"{"y": -0.0 }"#
    );
}

#[test]
fn a_containers_error_is_its_own() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    world[agent].sim().mute = vec!["cs"];
    for side in [Plain, Rust] {
        let client = world.client(&format!("{side:?}"), side);
        world.get(client, "k", json!({"uuid": "u"}));
        let id = world.request(client, "cs", json!(["u", "op", 1]));
        let call = world[agent].sim().called("cs").pop().unwrap();
        let error = json!({"message": "no", "stack": "at x", "code": "failed"});
        world.say(
            agent,
            huly_protocol::Op::ResponseError,
            &call.id,
            error.to_string(),
        );
        let got = world.answer(client, &id).unwrap().unwrap_err();
        assert_eq!(
            (&got["message"], &got["stack"]),
            (&json!("no"), &json!("at x"))
        );
        assert_eq!(got.get("code").is_some(), side == Rust);
    }
}

#[test]
fn data_may_be_missing() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    world.get(client, "k", json!({"uuid": "u"}));
    assert_eq!(
        world.ask(client, "cs", json!(["u", "op"])).unwrap()["with"],
        json!(null)
    );
}

#[test]
fn there_must_be_such_a_container() {
    let mut world = World::new();
    let (plain, rust) = (world.client("p", Plain), world.client("r", Rust));
    let error = world
        .ask(rust, "cs", json!(["nobody", "op", 1]))
        .unwrap_err();
    assert_eq!(error["code"], "noSuchContainer");
    let error = world
        .ask(plain, "cs", json!(["nobody", "op", 1]))
        .unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("nobody"));
}

#[test]
fn a_hold_ends_after_30_s_with_an_error() {
    let mut world = World::new();
    let only = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.ask(only, "au", json!({"uuid": "a"})).unwrap();
    let first = world.request(client, "cs", json!(["u", "op", 1]));
    world.run(10_000);
    let second = world.request(client, "cs", json!(["u", "op", 2]));
    assert_eq!(world.registry.snapshot().held.0, 2);
    world.run(20_100);
    let error = world.answer(client, &first).unwrap().unwrap_err();
    assert_eq!(error["code"], "timedOut");
    assert_eq!(world.answer(client, &second), None);
    world.run(10_000);
    assert!(world.answer(client, &second).unwrap().is_err());
    assert_eq!(world.registry.snapshot().held, (0, 0));
}

#[test]
fn holds_are_bounded_in_bytes() {
    let mut config = config();
    config.hold_bytes = 100;
    let mut world = World::starting(config);
    let client = world.client("c", Rust);
    let data = "x".repeat(58);
    let first = world.request(client, "cs", json!(["u", "op", data]));
    let error = world
        .ask(client, "cs", json!(["v", "op", data]))
        .unwrap_err();
    assert_eq!(error["code"], "busy");
    assert_eq!(world.registry.snapshot().held.1, 62);
    // Once its sender is gone, so is what it left.
    world.say(client, huly_protocol::Op::Close, "", "");
    assert_eq!(world.registry.snapshot().held.1, 0);
    assert_eq!(world.answer(client, &first), None);
}

#[test]
fn what_a_client_left_behind_is_not_run() {
    let mut world = World::starting(config());
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let stays = world.client("d", Rust);
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    // Before anybody knows the container, and when somebody waits for it.
    world.request(client, "cs", json!(["u", "early", 1]));
    let got = world.request(stays, "gg", get);
    world.request(client, "cs", json!(["u", "held", 2]));
    world.request(stays, "cs", json!(["u", "stays", 3]));
    world.say(client, huly_protocol::Op::Close, "", "");
    world.run(1_600);
    assert!(world.answer(stays, &got).unwrap().is_ok());
    let ran: Vec<String> = world[agent]
        .sim()
        .ran
        .iter()
        .map(|(_, op)| op.clone())
        .collect();
    assert_eq!(ran, ["stays"]);
}

#[test]
fn what_was_held_first_goes_first() {
    let mut world = World::starting(config());
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.request(client, "cs", json!(["u", "before", 1]));
    world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.request(client, "cs", json!(["u", "after", 2]));
    world.run(1_600);
    let ran: Vec<String> = world[agent]
        .sim()
        .ran
        .iter()
        .map(|(_, op)| op.clone())
        .collect();
    assert_eq!(ran, ["before", "after"]);
}

#[test]
fn an_unanswered_request_lives_as_long_as_its_container() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    let id = world.request(client, "cs", json!(["u", "slow", 1]));
    world.run(600_000);
    assert_eq!(
        world.answer(client, &id),
        None,
        "a TypeScript call brings no deadline"
    );
    let call = world[agent].sim().called("cs")[0].clone();
    world.answer_call(agent, &call);
    assert!(world.answer(client, &id).unwrap().is_ok());
}

#[test]
fn an_idle_end_fails_requests_that_are_under_way() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    let id = world.request(client, "cs", json!(["u", "slow", 1]));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    assert_eq!(world.home(client, "u"), None);
    let error = world
        .answer(client, &id)
        .expect("it is not left hanging")
        .unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert_eq!(world.registry.snapshot().calls, 0);
}

#[test]
fn a_request_sent_again_does_not_run_in_another_life() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let records = world.ask(client, "cl", json!({})).unwrap();
    let epoch = records[0]["huly"]["epoch"].clone();
    let resent = json!(["u", "op", 1, {"epoch": epoch}]);
    assert!(
        world.ask(client, "cs", resent.clone()).is_ok(),
        "the same life"
    );
    let second = world.agent("b", Rust, &["k"]);
    world.close(first);
    // It came before the server knew of the death.
    let early = world.request(client, "cs", resent.clone());
    world.run(2_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    let error = world.answer(client, &early).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    let error = world.ask(client, "cs", resent).unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert_eq!(
        world[second].sim().called("cs").len(),
        0,
        "it did not run there"
    );
    assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
}

/// The client has sent a request again over its new connection, and the answer to the first comes.
#[test]
fn an_answer_that_crosses_the_request_sent_again_is_the_only_one() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let client = world.client("c", side);
        world[agent].sim().mute = vec!["gg"];
        let params = json!({"kind": "k", "request": {"uuid": "u"}});
        let get = world.request(client, "gg", params.clone());
        world.connect(client);
        let call = world[agent].sim().called("gg").pop().unwrap();
        world[agent].sim().mute = vec![];
        let error = json!({"message": "no", "stack": "", "code": "failed"});
        world.say(
            agent,
            huly_protocol::Op::ResponseError,
            &call.id,
            error.to_string(),
        );
        // A TypeScript client is to send it again later, besides.
        let told = usize::from(side == Rust);
        assert_eq!(world.answers(client, &get).len(), told, "{side:?}");
        world.request_as(client, &get, "gg", params.clone());
        world.run(2_000);
        assert_eq!(world.answers(client, &get).len(), told, "{side:?}");
        let references: usize = world.registry.snapshot().references.values().sum();
        assert_eq!(references, 0, "{side:?}");
        // Another connection later the answer may be lost.
        world.connect(client);
        world.request_as(client, &get, "gg", params);
        world.run(2_000);
        assert!(world.answers(client, &get).pop().unwrap().is_ok());
    }
}

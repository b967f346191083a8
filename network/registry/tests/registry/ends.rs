//! Ends that take too long, and containers that keep ending.

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, World};

/// A container `u` on `a` that nobody holds and that `a` does not end.
fn hanging() -> (World, Peer, Peer) {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["ct"];
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    (world, agent, client)
}

fn get() -> serde_json::Value {
    json!({"kind": "k", "request": {"uuid": "u"}})
}

#[test]
fn an_end_that_takes_too_long_keeps_the_uuid_busy() {
    let (mut world, agent, client) = hanging();
    world.agent("b", Rust, &["k"]);
    let early = world.request(client, "gg", get());
    world.run(14_000);
    assert_eq!(world.answer(client, &early), None, "it has 10 + 5 s");
    world.run(2_000);
    let late = world.request(client, "gg", get());
    for id in [early, late] {
        let error = world.answer(client, &id).unwrap().unwrap_err();
        assert_eq!(error["code"], "busy");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("still stopping on a:"), "{message}");
    }
    world.run(600_000);
    assert_eq!(world.home(client, "u"), None, "it is placed nowhere else");
    let end = world[agent].sim().called("ct").pop().unwrap();
    world.answer_call(agent, &end);
    assert!(world.ask(client, "gg", get()).is_ok());
}

#[test]
fn who_holds_it_meanwhile_gets_it_once_it_has_ended() {
    let (mut world, agent, client) = hanging();
    let params = json!({"gets": [{"uuid": "u", "kind": "k"}]});
    assert_eq!(world.ask(client, "xr", params).unwrap(), json!([null]));
    world.run(20_000);
    assert_eq!(world.home(client, "u"), None);
    world.events(client);
    let end = world[agent].sim().called("ct").pop().unwrap();
    world.answer_call(agent, &end);
    assert!(world.home(client, "u").is_some());
    assert_eq!(world.held_events(client)[0]["event"], 1);
}

#[test]
fn an_end_that_takes_too_long_ends_with_its_agent() {
    let (mut world, agent, client) = hanging();
    world.run(20_000);
    world.agent("b", Rust, &["k"]);
    assert!(world.ask(client, "gg", get()).is_err());
    world.close(agent);
    world.run(1_000);
    assert!(world.ask(client, "gg", get()).is_ok());
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

/// The container ends by itself.
fn ends(world: &mut World, agent: Peer) {
    world[agent].sim().containers.clear();
    world.register(agent);
}

#[test]
fn a_container_that_keeps_ending_is_placed_ever_later() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    ends(&mut world, agent);
    assert!(world.home(client, "u").is_some(), "at once after the first");
    for wait in [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
        world.events(client);
        ends(&mut world, agent);
        let told = world.held_events(client);
        assert_eq!(told[0]["event"], 2, "nothing replaces it for now");
        // Neither who asks nor who registers hastens it.
        let got = world.request(client, "gg", get());
        let asked = world.request(client, "cs", json!(["u", "op", 1]));
        world.run(wait - 10);
        world.register(agent);
        assert_eq!(world.home(client, "u"), None, "before {wait} ms");
        assert_eq!(world.answer(client, &got), None);
        world.run(20);
        assert!(world.home(client, "u").is_some(), "after {wait} ms");
        assert!(world.answer(client, &got).unwrap().is_ok());
        assert!(world.answer(client, &asked).unwrap().is_ok());
    }
    // A long life makes it forget.
    world.run(10_000);
    ends(&mut world, agent);
    assert!(world.home(client, "u").is_some());
}

#[test]
fn a_container_that_keeps_ending_and_that_nobody_wants_is_forgotten() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    ends(&mut world, agent);
    ends(&mut world, agent);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(1_000);
    assert_eq!(world[agent].sim().containers.len(), 0);
    assert_eq!(world.registry.snapshot().waiting.values().sum::<usize>(), 0);
}

#[test]
fn an_end_that_is_refused_is_no_end() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let other = world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let (home, away) = match world.home(client, "u").as_deref() {
        Some("a") => (agent, other),
        _ => (other, agent),
    };
    world[home].sim().mute = vec!["ct"];
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    let end = world[home].sim().called("ct").pop().unwrap();
    // What a Responder that is dropped answers with.
    let error = json!({"message": "outcome unknown", "stack": "", "code": "outcomeUnknown"});
    world.say(home, Op::ResponseError, &end.id, error.to_string());
    world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert!(
        !world[away].sim().containers.contains_key("u"),
        "it runs twice"
    );
    // It is told again, and ends then.
    world[home].sim().mute.clear();
    world.run(1_100);
    assert!(
        world
            .ask(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}))
            .is_ok()
    );
}

#[test]
fn an_agent_that_has_a_later_life_of_a_container_has_ended_the_earlier() {
    let (mut world, agent, client) = hanging();
    let end = world[agent].sim().called("ct").pop().unwrap();
    let error = json!({"message": "a higher epoch", "stack": "", "code": "gone"});
    world.say(agent, Op::ResponseError, &end.id, error.to_string());
    assert!(world.ask(client, "gg", get()).is_ok());
}

#[test]
fn a_failover_does_not_wait_for_the_back_off_of_an_earlier_life() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    for wait in [0, 250, 500, 1_000, 2_000, 4_000] {
        world[agent].sim().containers.clear();
        world.register(agent);
        world.run(wait + 10);
    }
    // Now the back-off is 8 s; a standby has the uuid meanwhile.
    world[agent].sim().containers.clear();
    world.register(agent);
    assert_eq!(world.home(client, "u"), None);
    let standby = world.agent("s", Plain, &[]);
    world[standby].sim().put("u", "k", Value::Null);
    world.register(standby);
    assert_eq!(world.home(client, "u").as_deref(), Some("s"));
    world.close(standby);
    world.run(1_100);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
}

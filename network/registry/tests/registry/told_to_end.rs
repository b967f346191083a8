//! A life that an agent was told to end, before the server gave that agent up: it goes on no more.

use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, Side, World};

/// Agent `a` was told to end `u`, which nobody holds, and has not yet when it is given up; it heard
/// of that, or the word is lost with the connection. The life that `u` has there.
fn given_up(side: Side, heard: bool) -> (World, Peer, Peer, Value) {
    let (world, agent, client, life, _) = given_up_of(side, heard, json!({"uuid": "u"}));
    (world, agent, client, life)
}

/// The same of what such a get was answered with, and its uuid.
fn given_up_of(side: Side, heard: bool, get: Value) -> (World, Peer, Peer, Value, String) {
    let mut world = World::new();
    let agent = world.agent("a", side, &["k"]);
    let client = world.client("c", Rust);
    let uuid = world.get(client, "k", get);
    let life = world[agent].sim().containers[&uuid].huly["epoch"].clone();
    world[agent].sim().mute = vec!["ct"];
    world.ask(client, "cr", json!({"uuid": uuid})).unwrap();
    world.run(4_500);
    match heard {
        true => world.run(1_000),
        false => world.freeze(agent),
    }
    world.freeze(agent);
    world.run(6_000);
    assert_eq!(world[agent].sim().called("ct").len(), usize::from(heard));
    assert_eq!(world.registry.snapshot().agents.values().sum::<usize>(), 0);
    (world, agent, client, life, uuid)
}

/// The agent goes on, and registers what it has before it ends anything.
fn goes_on(world: &mut World, agent: Peer) {
    world[agent].runs = true;
    world.reconnect(agent);
}

/// It does what it was told, in order.
fn ends_it(world: &mut World, agent: Peer) {
    let ends = world[agent].sim().called("ct");
    assert!(!ends.is_empty());
    for end in &ends {
        world.answer_call(agent, end);
    }
}

#[test]
fn it_does_not_live_for_the_server_when_it_is_back() {
    for heard in [true, false] {
        let (mut world, agent, client, life) = given_up(Rust, heard);
        goes_on(&mut world, agent);
        assert_eq!(world.home(client, "u"), None, "heard: {heard}");
        let get = json!({"kind": "k", "request": {"uuid": "u"}});
        let get = world.request(client, "gg", get);
        let request = world.request(client, "cs", json!(["u", "op", 1]));
        world.run(2_000);
        assert_eq!(world.answer(client, &get), None, "it has not ended");
        assert_eq!(world[agent].sim().ran, []);

        ends_it(&mut world, agent);
        assert!(world.answer(client, &get).unwrap().is_ok());
        assert_eq!(world.answer(client, &request).unwrap().unwrap()["on"], "a");
        let last = world[agent].sim().containers["u"].huly["epoch"].clone();
        assert!(last[1].as_u64() > life[1].as_u64(), "{last}");
        let told = world[agent].sim().called("ct");
        assert!(told.iter().all(|end| end.ext["epoch"] == life), "{told:?}");
    }
}

#[test]
fn nothing_is_left_of_it_where_nobody_asks() {
    for heard in [true, false] {
        let (mut world, agent, _, _) = given_up(Rust, heard);
        goes_on(&mut world, agent);
        ends_it(&mut world, agent);
        assert!(world[agent].sim().containers.is_empty());
        let sizes = world.registry.sizes();
        assert_eq!((sizes.containers, sizes.of_agents, sizes.calls), (0, 0, 0));
    }
}

/// Somebody has a reference to it from before, and says so before its agent comes back.
#[test]
fn who_wants_it_meanwhile_gets_the_next_life() {
    for heard in [true, false] {
        let (mut world, agent, client, life) = given_up(Rust, heard);
        let get = json!({"uuid": "u", "kind": "k", "request": {"uuid": "u"}, "epoch": life,
            "agentId": "a", "failovers": 0});
        world.ask(client, "xr", json!({"gets": [get]})).unwrap();
        goes_on(&mut world, agent);
        assert_eq!(world.home(client, "u"), None, "heard: {heard}");
        ends_it(&mut world, agent);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        assert_ne!(world[agent].sim().containers["u"].huly["epoch"], life);
    }
}

/// A TypeScript agent chooses the uuid of what nobody has known: of what was asked for without one,
/// and has lived, somebody may hold a reference by its uuid.
#[test]
fn what_was_asked_for_without_a_uuid_keeps_the_one_that_it_had() {
    for heard in [true, false] {
        let (mut world, agent, client, life, uuid) = given_up_of(Rust, heard, json!({}));
        world.agent("b", Plain, &["k"]);
        goes_on(&mut world, agent);
        world.ask(agent, "xg", json!({"uuid": "a"})).unwrap();
        let get = json!({"uuid": uuid, "kind": "k", "request": {}, "epoch": life,
            "agentId": "a", "failovers": 0});
        world.ask(client, "xr", json!({"gets": [get]})).unwrap();
        ends_it(&mut world, agent);
        assert_eq!(world.home(client, &uuid).as_deref(), Some("b"));
        let answer = world.ask(client, "cs", json!([uuid, "op", 1])).unwrap();
        assert_eq!(answer["on"], "b");
    }
}

/// It had another life since, which ended in order.
#[test]
fn it_is_ended_also_when_a_later_life_is_over() {
    let (mut world, agent, client, _) = given_up(Rust, false);
    let second = world.agent("b", Rust, &["k"]);
    world.get(client, "k", json!({"uuid": "u"}));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    assert!(world[second].sim().containers.is_empty());
    goes_on(&mut world, agent);
    assert_eq!(world.home(client, "u"), None);
    ends_it(&mut world, agent);
    assert!(world[agent].sim().containers.is_empty());
}

/// A TypeScript agent knows no epochs; it registers again whenever its list changes (W24).
#[test]
fn a_typescript_agents_end_is_heard_of_by_its_next_registration() {
    let (mut world, agent, client, _) = given_up(Plain, true);
    goes_on(&mut world, agent);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    ends_it(&mut world, agent);
    world.register(agent);
    assert_eq!(world.home(client, "u"), None);
}

/// A start that was given up has been told to end, too.
#[test]
fn a_start_that_was_given_up_does_not_come_back_as_a_life() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg", "ct"];
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let get = world.request(client, "gg", get);
    while world.answer(client, &get).is_none() {
        world.run(1_000);
    }
    let start = world[agent].sim().called("gg")[0].clone();
    assert_eq!(
        world[agent].sim().called("ct")[0].ext["epoch"],
        start.ext["epoch"]
    );
    // It starts after all, and is registered before it is ended.
    world.answer_call(agent, &start);
    world.register(agent);
    assert_eq!(world.home(client, "u"), None);
    ends_it(&mut world, agent);
    assert!(world[agent].sim().containers.is_empty());
    assert_eq!(world.registry.sizes().containers, 0);
}

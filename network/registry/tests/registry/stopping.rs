//! Containers that agents are ending as they register.

use serde_json::json;

use crate::support::{Peer, Rust, World};

/// `u` lives at `a`, which begins to end it; `b` could have it, too.
fn ending() -> (World, Peer, Peer, Peer) {
    let mut world = World::new();
    let a = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let b = world.agent("b", Rust, &["k"]);
    world[a].sim().begin_to_end("u");
    world[a].sim().mute.push("ct");
    (world, a, b, client)
}

fn assert_again(world: &mut World, client: Peer, n: u64) {
    world.connect(client);
    let epoch = json!([huly_term(world), n]);
    let get = json!({"uuid": "u", "kind": "k", "request": {"uuid": "u"}, "epoch": epoch,
        "agentId": "a", "failovers": 0});
    world.ask(client, "xr", json!({"gets": [get]})).unwrap();
}

fn huly_term(world: &World) -> u64 {
    let of = |peer: &crate::support::PeerState| {
        let agent = peer.agent.as_ref()?;
        let copies = agent.containers.values().chain(agent.stopping.values());
        copies
            .filter_map(|copy| copy.huly["epoch"][0].as_u64())
            .max()
    };
    world.peers.iter().filter_map(of).max().unwrap()
}

fn starts(world: &mut World, agent: Peer) -> usize {
    world[agent].sim().called("gg").len()
}

/// The agent has ended it and says so.
fn ended(world: &mut World, agent: Peer) {
    let ends = world[agent].sim().called("ct");
    let last = ends.last().expect("it is told to end it");
    world.answer_call(agent, last);
}

#[test]
fn a_restarted_server_places_nothing_before_the_old_copy_has_ended() {
    let (mut world, a, b, client) = ending();
    world.restart_server();
    assert_again(&mut world, client, 1);
    world.reconnect(b);
    world.reconnect(a);
    let request = world.request(client, "cs", json!(["u", "op", 1]));
    world.run(5_000);
    assert_eq!(starts(&mut world, b), 0, "the old copy still runs");
    assert_eq!(world.answer(client, &request), None);
    assert_eq!(world.home(client, "u"), None);
    ended(&mut world, a);
    let home = world.home(client, "u").expect("it is placed again");
    assert!(world.answer(client, &request).unwrap().is_ok(), "on {home}");
    let record = world.ask(client, "cl", json!({})).unwrap()[0].clone();
    assert_eq!(record["huly"]["failovers"], 1);
    assert_eq!(record["huly"]["lastFailover"]["reason"], "ContainerEnded");
}

#[test]
fn while_settling_a_later_life_may_yet_be_registered() {
    let (mut world, a, b, client) = ending();
    let term = huly_term(&world);
    // It lives at b since, by the word of the server that is gone.
    world[b]
        .sim()
        .put("u", "k", json!({"epoch": [term, 9], "byUuid": true}));
    world.restart_server();
    world.connect(client);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.reconnect(a);
    ended(&mut world, a);
    assert_eq!(world.answer(client, &get), None);
    world.reconnect(b);
    let got = world.answer(client, &get).unwrap().unwrap();
    assert_eq!(got[2]["agentId"], "b");
    assert!(world[b].sim().containers.contains_key("u"));
    world.run(120_000);
    assert_eq!((starts(&mut world, a), starts(&mut world, b)), (1, 0));
}

#[test]
fn a_later_life_wins_over_what_ends_elsewhere() {
    let (mut world, a, b, client) = ending();
    let term = huly_term(&world);
    world[b]
        .sim()
        .put("u", "k", json!({"epoch": [term, 9], "byUuid": true}));
    world.restart_server();
    world.connect(client);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.reconnect(a);
    world.reconnect(b);
    let got = world.answer(client, &get).unwrap().unwrap();
    assert_eq!(got[2]["agentId"], "b");
    ended(&mut world, a);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    // A client may know more than the first that registers.
    let (mut world, a, b, client) = ending();
    world[b]
        .sim()
        .put("u", "k", json!({"epoch": [term, 9], "byUuid": true}));
    world.restart_server();
    assert_again(&mut world, client, 9);
    world.reconnect(a);
    world.reconnect(b);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    assert!(world[a].sim().called("ct").is_empty());
}

#[test]
fn nobody_wants_it_any_more() {
    let (mut world, a, b, client) = ending();
    world.restart_server();
    world.reconnect(a);
    world.reconnect(b);
    world.connect(client);
    ended(&mut world, a);
    world.run(2_000);
    assert_eq!(world[a].sim().called("ct").len(), 1, "once is enough");
    let before = starts(&mut world, a) + starts(&mut world, b);
    assert_eq!(world.get(client, "k", json!({"uuid": "u"})), "u");
    assert_eq!(starts(&mut world, a) + starts(&mut world, b), before + 1);
}

#[test]
fn durable_holders_come_back_with_what_is_being_ended() {
    let mut world = World::new();
    let a = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.hold_durably(operator, "k", "u");
    world[a].sim().begin_to_end("u");
    world[a].sim().mute.push("ct");
    world.restart_server();
    world.reconnect(a);
    ended(&mut world, a);
    // Its holder has not said a word yet.
    world.run(10_000);
    let client = world.client("c", Rust);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
}

#[test]
fn the_same_server_learns_of_an_end_whose_word_was_lost() {
    let (mut world, a, b, client) = ending();
    world.register(a);
    assert_eq!(world.home(client, "u"), None, "it takes nothing any more");
    let request = world.request(client, "cs", json!(["u", "op", 1]));
    assert_eq!(starts(&mut world, b), 0);
    ended(&mut world, a);
    assert_eq!(starts(&mut world, a) + starts(&mut world, b), 2);
    assert!(world.answer(client, &request).unwrap().is_ok());
    let ends = world[a].sim().called("ct").len();
    assert_eq!(ends, 1);
}

#[test]
fn one_that_takes_too_long_is_said_to() {
    let (mut world, a, b, client) = ending();
    world.restart_server();
    world.connect(client);
    world.reconnect(b);
    world.reconnect(a);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.run(14_900);
    assert_eq!(world.answer(client, &get), None);
    world.run(200);
    let error = world.answer(client, &get).unwrap().unwrap_err();
    assert_eq!(error["code"], "busy");
    let text = error["message"].as_str().unwrap();
    assert!(text.starts_with("still stopping on a"), "{text}");
    // Its agent is gone: so is the copy.
    world.close(a);
    world.run(5_000);
    world.get(client, "k", json!({"uuid": "u"}));
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

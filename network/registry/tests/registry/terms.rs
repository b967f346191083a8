//! Terms: whose word counts when two servers were there.

use serde_json::json;

use crate::support::{Plain, Rust, WALL, World, config};

#[test]
fn a_young_server_raises_its_term_and_tells_every_rust_session() {
    let mut world = World::starting(config());
    let witness = world.client("w", Rust);
    let plain = world.client("p", Plain);
    world.run(9_000);
    let peer = world.peer("c", Rust);
    world[peer].term = WALL + 50_000;
    world.connect(peer);
    let term = world.registry.snapshot().term;
    assert!(term > WALL + 50_000);
    assert_eq!(world[peer].last_hello()["term"], term);
    assert_eq!(world.events(witness), [json!({"term": term})]);
    assert_eq!(world.events(plain).len(), 0);
    assert!(world.exits.is_empty());
    // Placements carry it, once those have come whom the other server knew.
    world.agent("a", Rust, &["k"]);
    world.run(1_500);
    let got = world.ask(peer, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert_eq!(got.unwrap()[2]["epoch"][0], term);
}

#[test]
fn two_servers_that_raise_over_one_term_do_not_raise_to_one() {
    let raised = |instance: &str| {
        let mut config = config();
        config.instance = instance.into();
        let mut world = World::starting(config);
        let peer = world.peer("c", Rust);
        world[peer].term = WALL + 50_000;
        world.connect(peer);
        world.registry.snapshot().term
    };
    let (one, other) = (raised("instance-1"), raised("instance-2"));
    assert!(one > WALL + 50_000 && other > WALL + 50_000);
    assert_ne!(one, other, "their epochs would be alike");
}

#[test]
fn an_old_server_ends_when_a_peer_knows_a_later_term() {
    let mut world = World::starting(config());
    world.run(10_100);
    let peer = world.peer("c", Rust);
    world[peer].term = WALL;
    world.connect(peer);
    assert!(world.exits.is_empty(), "its own term is no other's");
    world[peer].term = WALL + 1;
    world.connect(peer);
    assert_eq!(world.exits.len(), 1);
    assert_eq!(world.registry.snapshot().term, WALL);
}

#[test]
fn the_highest_term_there_is_does_no_harm() {
    let mut world = World::starting(config());
    let peer = world.peer("c", Rust);
    world[peer].term = u64::MAX;
    world.connect(peer);
    assert_eq!(world[peer].last_hello()["instance"], "instance-1");
}

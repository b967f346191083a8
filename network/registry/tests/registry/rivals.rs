//! Processes of one client id: which of them get no session, and that it disturbs nobody.

use huly_protocol::Op;
use serde_json::json;

use crate::support::{Peer, Rust, SECRET, World};

/// Another process of the operator, that has said hello.
fn process(world: &mut World, nonce: &str, fencing: Option<u64>) -> Peer {
    let peer = world.peer("operator", Rust);
    world[peer].nonce = nonce.into();
    world[peer].secret = Some(SECRET.into());
    world[peer].fencing = fencing;
    world.connect(peer);
    peer
}

/// What it was told of being superseded.
fn superseded(world: &World, peer: Peer) -> Option<String> {
    let state = &world[peer];
    let told = state.got.iter().chain(&state.got_on_old);
    let mut events = told.filter(|got| got.op == Op::Event);
    let event = events.find(|event| event.payload_text().contains("superseded"))?;
    Some(event.payload_text().into_owned())
}

fn controls(world: &mut World, peer: Peer) -> bool {
    world.ask(peer, "kr", json!({"kinds": []})) == Ok(json!([]))
}

#[test]
fn who_has_not_the_control_secret_takes_no_controlling_session_over() {
    let mut world = World::new();
    let operator = world.operator();
    let impostor = world.peer("operator", Rust);
    world[impostor].nonce = "another process".into();
    world[impostor].secret = Some("wrong".into());
    world.connect(impostor);
    let told = world[impostor].got.iter().find(|got| got.op == Op::Event);
    let told = told.expect("it is told").payload_text().into_owned();
    assert!(
        told.contains("superseded") && told.contains("control secret"),
        "{told}"
    );
    assert!(world[operator].got.iter().all(|got| got.op != Op::Event));
    assert_eq!(
        world.ask(operator, "kr", json!({"kinds": []})),
        Ok(json!([]))
    );
}

#[test]
fn a_lower_fencing_number_is_superseded_and_disturbs_nobody() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let leader = process(&mut world, "two", Some(2));
    world.get(leader, "k", json!({"uuid": "u"}));
    let session = world[leader].uuid.clone();
    let late = process(&mut world, "one", Some(1));
    let told = superseded(&world, late).expect("it is told");
    assert!(told.contains("fencing number"), "{told}");
    assert_eq!(superseded(&world, leader), None);
    assert_eq!(world[leader].uuid, session);
    assert!(controls(&mut world, leader));
    world.request_as(late, "late", "cr", json!({"uuid": "u"}));
    world.run(100);
    assert_eq!(
        world.registry.snapshot().references["k"],
        1,
        "it is not heard"
    );
}

#[test]
fn a_lower_number_is_refused_when_the_higher_one_is_away_too() {
    for detached in [true, false] {
        let mut world = World::new();
        let leader = process(&mut world, "two", Some(2));
        if detached {
            world.ask(leader, "xd", json!({})).expect("detached");
        }
        world.close(leader);
        // Longer than any session lasts.
        world.freeze(leader);
        world.run(60_000);
        let late = process(&mut world, "one", Some(1));
        assert!(superseded(&world, late).is_some(), "detached: {detached}");
    }
}

#[test]
fn a_higher_number_takes_over_and_the_same_one_comes_again() {
    let mut world = World::new();
    let first = process(&mut world, "one", Some(1));
    let second = process(&mut world, "two", Some(2));
    assert!(superseded(&world, first).is_some());
    assert_eq!(superseded(&world, second), None);
    assert!(controls(&mut world, second));
    world.reconnect(second);
    assert_eq!(superseded(&world, second), None);
    assert!(controls(&mut world, second));
}

#[test]
fn without_numbers_the_later_one_takes_over() {
    let mut world = World::new();
    let first = process(&mut world, "one", None);
    let second = process(&mut world, "two", None);
    assert!(superseded(&world, first).is_some());
    assert!(controls(&mut world, second));
    let numbered = process(&mut world, "three", Some(1));
    assert!(superseded(&world, second).is_some());
    assert!(controls(&mut world, numbered));
}

#[test]
fn who_has_no_number_takes_no_connected_session_over_that_has_one() {
    let mut world = World::new();
    let leader = process(&mut world, "new", Some(1));
    let old = process(&mut world, "old", None);
    let told = superseded(&world, old).expect("it is told");
    assert!(told.contains("has none"), "{told}");
    assert!(controls(&mut world, leader));
    world.close(leader);
    let old = process(&mut world, "old again", None);
    assert_eq!(
        superseded(&world, old),
        None,
        "after a way back to an older version"
    );
    assert!(controls(&mut world, old));
}

#[test]
fn a_number_without_the_secret_is_nothing() {
    let mut world = World::new();
    let stranger = world.peer("operator", Rust);
    world[stranger].fencing = Some(1_000);
    world.connect(stranger);
    let leader = process(&mut world, "one", Some(1));
    assert_eq!(superseded(&world, leader), None);
    assert!(controls(&mut world, leader));
}

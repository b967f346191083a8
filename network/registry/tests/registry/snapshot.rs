//! The snapshot of the feed: in chunks, as its subscriber takes them.

use huly_protocol::Op;
use huly_registry::Config;
use serde_json::json;

use crate::events::{View, feed, listed};
use crate::support::{Peer, Rust, World, config};

/// So many containers at agent `a`, in chunks of a few; who holds them, and who will subscribe.
fn many(containers: usize) -> (World, Peer, Peer) {
    let mut world = World::starting(Config {
        snapshot_chunk: 10,
        ..config()
    });
    world.run(61_000);
    world.agent("a", Rust, &["k"]);
    let holder = world.client("h", Rust);
    for number in 0..containers {
        world.get(holder, "k", json!({"uuid": format!("u{number}")}));
    }
    let watcher = world.client("w", Rust);
    world.has_room = false;
    (world, holder, watcher)
}

/// Bytes of what a peer got since this was last asked.
fn bytes(world: &mut World, peer: Peer) -> usize {
    let got = world[peer].got.iter();
    let events = got.filter(|got| got.op == Op::Event);
    events.map(|got| got.payload.len()).sum()
}

#[test]
fn the_next_chunk_is_sent_when_little_waits() {
    let (mut world, _, watcher) = many(95);
    world.ask(watcher, "xw", json!({})).unwrap();
    let mut view = View::default();
    for number in 0..11 {
        let pieces = feed(&mut world, watcher);
        assert_eq!(pieces.len(), 1, "one at a time");
        let last = number == 10;
        assert_eq!(
            pieces[0]["snapshot"],
            json!({"chunk": number, "last": last})
        );
        view.apply(&pieces[0]);
        assert_eq!(world.give_room(), !last, "and no more is awaited than that");
        world.talk();
    }
    assert!(feed(&mut world, watcher).is_empty());
    assert_eq!(view.homes(), listed(&mut world, watcher));
}

#[test]
fn what_happens_while_chunks_come_is_told_among_them() {
    let (mut world, holder, watcher) = many(50);
    let position = world.ask(watcher, "xw", json!({})).unwrap();
    let mut view = View::default();
    let mut revision = position["revision"].as_u64().unwrap();
    let mut told = |world: &mut World, view: &mut View| {
        let pieces = feed(world, watcher);
        for piece in &pieces {
            let now = piece["revision"].as_u64().unwrap();
            assert!(revision <= now && now <= revision + 1, "no gap");
            revision = now;
            view.apply(piece);
        }
        pieces.last().unwrap()["snapshot"].clone()
    };
    // The agents' chunk and the first two of containers.
    for _ in 0..2 {
        assert!(world.give_room());
        world.talk();
    }
    assert_eq!(told(&mut world, &mut view)["chunk"], 2);
    // Told already, not told yet, and new.
    for uuid in ["u3", "u44"] {
        world.ask(holder, "cr", json!({"uuid": uuid})).unwrap();
    }
    world.run(6_000);
    let other = world.agent("b", Rust, &["k"]);
    world.get(holder, "k", json!({"uuid": "new"}));
    let said = told(&mut world, &mut view);
    assert_eq!(said["last"], false, "events are chunks until the last");
    assert!(view.agents.contains_key("b") && !view.containers.contains_key("u3"));
    // An agent that comes and goes meanwhile is gone.
    world.ask(other, "au", json!({"uuid": "b"})).unwrap();
    while world.give_room() {
        world.talk();
    }
    assert_eq!(told(&mut world, &mut view)["last"], true);
    assert_eq!(view.homes(), listed(&mut world, watcher));
    assert_eq!(view.agents.keys().collect::<Vec<_>>(), ["a"]);
    // And then as ever.
    world.get(holder, "k", json!({"uuid": "later"}));
    let pieces = feed(&mut world, watcher);
    assert_eq!(pieces[0]["snapshot"], json!(null));
    assert_eq!(pieces[0]["revision"], revision + 1);
}

#[test]
fn a_chunk_of_large_containers_has_fewer() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let holder = world.client("h", Rust);
    let extra = json!({"text": "x".repeat(100_000)});
    for number in 0..40 {
        let get = json!({"uuid": format!("u{number}"), "extra": extra});
        world.get(holder, "k", get);
    }
    let watcher = world.client("w", Rust);
    world.has_room = false;
    world.ask(watcher, "xw", json!({})).unwrap();
    let mut containers = 0;
    loop {
        assert!(bytes(&mut world, watcher) < 400_000);
        let pieces = feed(&mut world, watcher);
        let of_piece = pieces[0]["containers"].as_array();
        containers += of_piece.map_or(0, Vec::len);
        if !world.give_room() {
            break;
        }
        world.talk();
    }
    assert_eq!(containers, 40);
}

#[test]
fn a_subscription_that_is_ended_or_begun_again_leaves_nothing_behind() {
    let (mut world, _, watcher) = many(50);
    world.ask(watcher, "xw", json!({})).unwrap();
    world.ask(watcher, "xu", json!({})).unwrap();
    world.events(watcher);
    assert!(world.give_room());
    world.talk();
    assert!(feed(&mut world, watcher).is_empty());
    // Over another connection it begins anew, and what the former had is not awaited any more.
    world.ask(watcher, "xw", json!({})).unwrap();
    world.events(watcher);
    world.close(watcher);
    world.connect(watcher);
    assert!(world.give_room());
    world.talk();
    assert!(feed(&mut world, watcher).is_empty());
    world.has_room = true;
    let view = View::subscribe(&mut world, watcher);
    assert_eq!(view.homes(), listed(&mut world, watcher));
}

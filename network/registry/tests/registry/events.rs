//! Who is told what: holders, subscribers of the feed, TypeScript clients (W11).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, World, config, text};

/// What a subscriber knows from the feed alone.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) revision: u64,
    pub(crate) settled: bool,
    pub(crate) agents: BTreeMap<String, Value>,
    pub(crate) containers: BTreeMap<String, Value>,
}

impl View {
    pub(crate) fn subscribe(world: &mut World, peer: Peer) -> Self {
        world.events(peer);
        let position = world.ask(peer, "xw", json!({})).unwrap();
        let revision = position["revision"].as_u64().unwrap();
        let mut view = View {
            revision,
            ..View::default()
        };
        let pieces = feed(world, peer);
        assert!(!pieces.is_empty());
        for (number, piece) in pieces.iter().enumerate() {
            assert_eq!(piece["revision"], revision, "the chunks share it");
            let last = number + 1 == pieces.len();
            assert_eq!(piece["snapshot"], json!({"chunk": number, "last": last}));
            view.apply(piece);
        }
        view
    }

    pub(crate) fn catch_up(&mut self, world: &mut World, peer: Peer) {
        for event in feed(world, peer) {
            assert_eq!(event["snapshot"], Value::Null);
            assert_eq!(event["revision"], self.revision + 1, "no gap");
            self.revision += 1;
            self.apply(&event);
        }
    }

    pub(crate) fn apply(&mut self, piece: &Value) {
        self.settled = piece["settled"].as_bool().unwrap();
        for change in piece["agents"].as_array().into_iter().flatten() {
            let id = text(&change["agent"]["agentId"]);
            match change["event"].as_u64() {
                Some(2) => drop(self.agents.remove(&id)),
                _ => drop(self.agents.insert(id, change["agent"].clone())),
            }
        }
        for change in piece["containers"].as_array().into_iter().flatten() {
            let uuid = text(&change["container"]["uuid"]);
            match change["event"].as_u64() {
                Some(2) => drop(self.containers.remove(&uuid)),
                _ => drop(self.containers.insert(uuid, change["container"].clone())),
            }
        }
    }

    pub(crate) fn homes(&self) -> BTreeMap<String, String> {
        let homes = self.containers.iter();
        homes
            .map(|(uuid, record)| (uuid.clone(), text(&record["agentId"])))
            .collect()
    }
}

pub(crate) fn feed(world: &mut World, peer: Peer) -> Vec<Value> {
    let events = world.events(peer);
    events
        .iter()
        .filter_map(|event| event.get("feed").cloned())
        .collect()
}

/// Where containers are by the server's own list.
pub(crate) fn listed(world: &mut World, peer: Peer) -> BTreeMap<String, String> {
    let all = world.ask(peer, "cl", json!({})).unwrap();
    let mut homes = BTreeMap::new();
    for record in all.as_array().unwrap() {
        let before = homes.insert(text(&record["uuid"]), text(&record["agentId"]));
        assert_eq!(before, None, "{record} is listed twice");
    }
    homes
}

#[test]
fn the_feed_is_a_snapshot_and_then_every_change() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let holder = world.client("h", Rust);
    let watcher = world.client("w", Rust);
    world.get(holder, "k", json!({"uuid": "one"}));
    let mut view = View::subscribe(&mut world, watcher);
    assert!(view.settled);
    assert_eq!(view.homes(), listed(&mut world, watcher));
    assert_eq!(view.agents["a"]["huly"]["state"], "Live");
    let second = world.agent("b", Rust, &["k"]);
    world.get(holder, "k", json!({"uuid": "two"}));
    world.close(first);
    view.catch_up(&mut world, watcher);
    assert_eq!(view.agents["a"]["huly"]["state"], "Suspected");
    world.run(1_000);
    world.ask(holder, "cr", json!({"uuid": "two"})).unwrap();
    world.run(6_000);
    view.catch_up(&mut world, watcher);
    assert_eq!(view.homes(), BTreeMap::from([("one".into(), "b".into())]));
    assert_eq!(view.homes(), listed(&mut world, watcher));
    assert_eq!(view.agents.keys().collect::<Vec<_>>(), ["b"]);
    // What is lost and then let go is gone for subscribers, too.
    world.ask(second, "au", json!({"uuid": "b"})).unwrap();
    view.catch_up(&mut world, watcher);
    assert!(view.containers.is_empty(), "nothing replaces it");
    world.ask(holder, "cr", json!({"uuid": "one"})).unwrap();
    view.catch_up(&mut world, watcher);
    assert!(view.containers.is_empty() && view.agents.is_empty());
}

#[test]
fn what_is_placed_nowhere_and_let_go_leaves_no_trace_in_the_feed() {
    let mut world = World::new();
    let spec = json!({"kind": "k", "revision": 1, "maxPerAgent": 1});
    let operator = world.specify(spec);
    let first = world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    world.get(operator, "k", json!({"uuid": "one"}));
    world.get(operator, "k", json!({"uuid": "two"}));
    let watcher = world.client("w", Rust);
    let mut view = View::subscribe(&mut world, watcher);
    world.events(operator);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    view.catch_up(&mut world, watcher);
    assert_eq!(view.homes(), listed(&mut world, watcher));
    let gone = world.held_events(operator);
    assert_eq!(gone.len(), 1);
    assert_eq!(
        gone[0]["event"], 2,
        "its holder knows that it lives nowhere"
    );
    world
        .ask(operator, "cr", json!({"uuid": gone[0]["uuid"]}))
        .unwrap();
    view.catch_up(&mut world, watcher);
    assert_eq!(view.homes(), listed(&mut world, watcher));
}

#[test]
fn a_snapshot_of_many_comes_in_chunks_of_one_revision() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    for number in 0..1_201 {
        world[agent]
            .sim()
            .put(&format!("u{number}"), "k", json!({"epoch": [1, number]}));
    }
    world.register(agent);
    let watcher = world.client("w", Rust);
    let view = View::subscribe(&mut world, watcher);
    assert_eq!(view.containers.len(), 1_201);
}

#[test]
fn a_subscription_ends_with_xu_or_the_connection() {
    let mut world = World::new();
    let watcher = world.client("w", Rust);
    View::subscribe(&mut world, watcher);
    assert_eq!(world.ask(watcher, "xu", json!({})), Ok(json!("ok")));
    world.agent("a", Rust, &["k"]);
    assert_eq!(world.events(watcher).len(), 0);
    View::subscribe(&mut world, watcher);
    world.connect(watcher);
    world.agent("b", Rust, &["k"]);
    assert_eq!(
        world.events(watcher).len(),
        0,
        "it may have missed some: subscribe again"
    );
    assert_eq!(View::subscribe(&mut world, watcher).agents.len(), 2);
}

#[test]
fn the_feed_says_when_the_server_has_settled() {
    let mut world = World::starting(config());
    let watcher = world.client("w", Rust);
    let mut view = View::subscribe(&mut world, watcher);
    assert!(!view.settled);
    world.run(1_600);
    view.catch_up(&mut world, watcher);
    assert!(view.settled);
}

#[test]
fn holders_alone_are_told_of_a_container() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let (holder, stranger) = (world.client("h", Rust), world.client("s", Rust));
    let released = world.client("r", Rust);
    for peer in [holder, released] {
        world.get(peer, "k", json!({"uuid": "u"}));
    }
    world.ask(released, "cr", json!({"uuid": "u"})).unwrap();
    assert_eq!(world.events(holder).len(), 0, "its get's answer said it");
    world.agent("b", Rust, &["k"]);
    world.close(agent);
    world.run(1_000);
    assert_eq!(world.held_events(holder).len(), 1);
    assert_eq!(world.events(stranger).len(), 0);
    assert_eq!(world.events(released).len(), 0);
}

/// Batches of a TypeScript client with the time at which each came.
fn batches(world: &mut World, peer: Peer, millis: u64) -> Vec<(u64, Value)> {
    let mut all = Vec::new();
    for at in 0..millis {
        all.extend(world.events(peer).into_iter().map(|event| (at, event)));
        world.run(1);
    }
    all
}

#[test]
fn typescript_clients_get_at_most_one_batch_in_100_ms() {
    let mut world = World::new();
    let plain = world.client("p", Plain);
    let client = world.client("c", Rust);
    world.run(1_000);
    let agent = world.agent("a", Rust, &["k"]);
    for number in 0..50 {
        world.get(client, "k", json!({"uuid": format!("u{number}")}));
    }
    world.agent("b", Plain, &["k"]);
    world.ask(agent, "au", json!({"uuid": "a"})).unwrap();
    let batches = batches(&mut world, plain, 500);
    for pair in batches.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 100, "{pair:?}");
    }
    assert!(batches[0].0 == 0 && batches.len() >= 2, "the first at once");
    let added = &batches[0].1["agents"][0];
    assert_eq!(
        (&added["id"], &added["event"], &added["kinds"]),
        (&json!("a"), &json!(0), &json!(["k"]))
    );
}

#[test]
fn many_lost_stateless_containers_are_one_batch() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let holder = world.client("h", Rust);
    for number in 0..20 {
        world[agent]
            .sim()
            .put(&format!("s{number}"), "service", json!({}));
    }
    world.register(agent);
    for number in 0..20 {
        world.get(holder, "service", json!({"uuid": format!("s{number}")}));
    }
    let plain = world.client("p", Plain);
    world.run(1_000);
    world.events(plain);
    world.ask(agent, "au", json!({"uuid": "a"})).unwrap();
    let batches = batches(&mut world, plain, 300);
    assert_eq!(batches.len(), 1);
    let containers = batches[0].1["containers"].as_array().unwrap().clone();
    assert_eq!(containers.len(), 20);
    for change in &containers {
        assert_eq!(change["event"], 2);
        assert_eq!(change["container"]["agentId"], "a", "of which agent it was");
    }
}

#[test]
fn batches_are_merged() {
    let mut world = World::new();
    let plain = world.client("p", Plain);
    let client = world.client("c", Rust);
    let agent = world.agent("a", Rust, &["k"]);
    world.run(200);
    world.events(plain);
    // One event at once, so that what follows is collected.
    world.register(agent);
    world.get(client, "k", json!({"uuid": "moves"}));
    world[agent]
        .sim()
        .containers
        .get_mut("moves")
        .unwrap()
        .endpoint = "elsewhere".into();
    world.register(agent);
    world[agent]
        .sim()
        .put("goes", "k", json!({"epoch": [1, 1]}));
    world.register(agent);
    world[agent].sim().containers.remove("goes");
    world.register(agent);
    world.events(plain);
    world.run(100);
    let events = world.events(plain);
    assert_eq!(events.len(), 1);
    let changes: BTreeMap<String, (Value, Value)> = events[0]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let record = &it["container"];
            (
                text(&record["uuid"]),
                (it["event"].clone(), record["endpoint"].clone()),
            )
        })
        .collect();
    assert_eq!(
        changes.len(),
        events[0]["containers"].as_array().unwrap().len(),
        "each once"
    );
    assert_eq!(
        changes["moves"],
        (json!(0), json!("elsewhere")),
        "added stays added"
    );
    assert_eq!(changes["goes"].0, 2, "removed wins");
}

/// A TypeScript client asks again for what it did not get as soon as it sees an agent added (W25).
#[test]
fn an_agent_that_returns_is_added_again() {
    let mut world = World::new();
    let plain = world.client("p", Plain);
    let agent = world.agent("a", Plain, &["k"]);
    world.run(200);
    world.events(plain);
    world.ask(agent, "au", json!({"uuid": "a"})).unwrap();
    world.run(10);
    world.register(agent);
    world.run(200);
    let events = world.events(plain);
    let last = events.last().unwrap()["agents"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!((&last["id"], &last["event"]), (&json!("a"), &json!(0)));
}

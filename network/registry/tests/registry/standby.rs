//! Stateless uuids: containers made beforehand, of which one has the uuid (W19, W26).

use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, Side, World, text};

pub(crate) const LEADER: &str = "leader";

/// An agent that makes a container of the uuid beforehand.
pub(crate) fn standby(world: &mut World, id: &str, side: Side) -> Peer {
    let agent = world.agent(id, side, &["other"]);
    world[agent].sim().stand_by(LEADER, "service");
    assert_eq!(world.register(agent), [""; 0], "{id} is to end nothing");
    agent
}

/// Registers again what lost the uuid: as a TypeScript agent 100 ms after it is free (W26).
fn registers_again(world: &mut World, agent: Peer) {
    world.run(100);
    assert_eq!(world.register(agent), [""; 0]);
}

pub(crate) fn home(world: &mut World, asker: Peer) -> String {
    world.home(asker, LEADER).unwrap_or_default()
}

/// The epoch of the uuid at its agent.
fn epoch(world: &mut World, agent: Peer) -> (u64, u64) {
    let huly = &world[agent].sim().containers[LEADER].huly;
    serde_json::from_value(huly["epoch"].clone()).unwrap()
}

/// What TypeScript clients are told of the uuid, one text a message.
fn told(world: &mut World, plain: Peer) -> Vec<String> {
    world.run(300);
    let about = |event: &Value| {
        let changes = event["containers"].as_array().unwrap().clone();
        let ours = changes
            .iter()
            .filter(|it| it["container"]["uuid"] == LEADER);
        ours.map(|it| match it["event"].as_u64().unwrap() {
            0 => format!("added {}", text(&it["container"]["agentId"])),
            1 => format!("updated {}", text(&it["container"]["agentId"])),
            _ => format!("removed {}", text(&it["container"]["agentId"])),
        })
        .collect::<Vec<_>>()
        .join(", ")
    };
    let events = world.events(plain);
    let all = events.iter().map(about);
    all.filter(|text| !text.is_empty()).collect()
}

pub(crate) fn standbys(world: &World) -> usize {
    world.registry.snapshot().standbys["service"]
}

#[test]
fn the_first_owns_the_uuid_and_a_standby_has_it_next_at_once() {
    let mut world = World::new();
    let plain = world.client("p", Plain);
    let agents = ["a", "b", "c"].map(|id| standby(&mut world, id, Rust));
    let asker = world.client("asker", Rust);
    assert_eq!(home(&mut world, asker), "a");
    assert_eq!(told(&mut world, plain), ["added a"]);
    assert_eq!(standbys(&world), 2);
    let first = epoch(&mut world, agents[0]);
    // Nobody holds it, and it has the uuid whoever asks.
    let holder = world.client("h", Rust);
    world.get(holder, "service", json!({"uuid": LEADER}));
    world.events(holder);

    world.close(agents[0]);
    world.run(800);
    assert_eq!(home(&mut world, asker), "b");
    assert!(epoch(&mut world, agents[1]) > first);
    assert_eq!(told(&mut world, plain), ["removed a", "updated b"]);
    let held = world.held_events(holder);
    assert_eq!(held.len(), 1, "one event to who holds it: {held:?}");
    assert_eq!(
        (&held[0]["event"], &held[0]["placement"]["agentId"]),
        (&json!(1), &json!("b"))
    );
    assert_eq!(
        held[0]["placement"]["lastFailover"]["reason"],
        "ConnectionClosed"
    );

    // And without anybody who holds it.
    world.ask(holder, "cr", json!({"uuid": LEADER})).unwrap();
    world.ask(agents[1], "au", json!({"uuid": "b"})).unwrap();
    assert_eq!(home(&mut world, asker), "c");
    assert_eq!(told(&mut world, plain), ["removed b", "updated c"]);
    assert_eq!(standbys(&world), 0);
    // The last one goes: the uuid is forgotten, until somebody has one again.
    world.ask(agents[2], "au", json!({"uuid": "c"})).unwrap();
    assert_eq!(told(&mut world, plain), ["removed c"]);
    assert_eq!(world.registry.snapshot().waiting.values().sum::<usize>(), 0);
    let late = standby(&mut world, "d", Rust);
    assert_eq!(home(&mut world, asker), "d");
    assert!(epoch(&mut world, late) > first);
}

#[test]
fn typescript_standbys_take_over_from_an_owner_of_ours() {
    let mut world = World::new();
    let owner = standby(&mut world, "rust", Rust);
    let plain: Vec<Peer> = ["x", "y"].map(|id| standby(&mut world, id, Plain)).into();
    let asker = world.client("asker", Rust);
    let watcher = world.client("p", Plain);
    world.get(watcher, "service", json!({"uuid": LEADER}));
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("rust", 2)
    );
    world.run(300);
    world.events(watcher);

    world.ask(owner, "au", json!({"uuid": "rust"})).unwrap();
    assert_eq!(home(&mut world, asker), "");
    world.run(1);
    assert_eq!(told(&mut world, watcher), ["removed rust"]);
    registers_again(&mut world, plain[1]);
    registers_again(&mut world, plain[0]);
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("y", 1)
    );
    assert_eq!(told(&mut world, watcher), ["updated y"]);
    // What comes back stands by, and takes over at once.
    let back = standby(&mut world, "rust-2", Rust);
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("y", 2)
    );
    world.close(plain[1]);
    world.run(1_100);
    assert_eq!(home(&mut world, asker), "rust-2");
    assert_eq!(told(&mut world, watcher), ["removed y", "updated rust-2"]);
    // The TypeScript one tries when it sees `removed`: it was late, and stays in reserve.
    registers_again(&mut world, plain[0]);
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("rust-2", 1)
    );
    let containers = &world[plain[0]].sim().containers;
    assert!(containers.contains_key(LEADER), "it was told to end it");
    world.close(back);
    world.run(900);
    registers_again(&mut world, plain[0]);
    assert_eq!(home(&mut world, asker), "x");
}

/// After a restart whoever had the uuid has it, in whatever order they register.
#[test]
fn a_restarted_server_leaves_the_uuid_to_its_owner() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let mut world = World::new();
        let owner = standby(&mut world, "owner", Rust);
        let agents = [
            owner,
            standby(&mut world, "rust", Rust),
            standby(&mut world, "plain", Plain),
        ];
        let was = epoch(&mut world, owner);
        world.restart_server();
        for index in order {
            world.reconnect(agents[index]);
            world.run(50);
        }
        let asker = world.client("asker", Rust);
        let got = world.request(
            asker,
            "gg",
            json!({"kind": "service", "request": {"uuid": LEADER}}),
        );
        world.run(2_000);
        assert!(world.answer(asker, &got).unwrap().is_ok(), "{order:?}");
        assert_eq!(
            (home(&mut world, asker).as_str(), standbys(&world)),
            ("owner", 2),
            "{order:?}"
        );
        assert_eq!(epoch(&mut world, owner), was, "{order:?}");
        for agent in agents {
            let ended = world[agent].sim().called("ct");
            assert_eq!(ended.len(), 0, "{order:?}");
            assert!(world[agent].sim().containers.contains_key(LEADER));
        }
    }
}

#[test]
fn a_restarted_server_without_the_owner_places_the_uuid_once_it_has_settled() {
    let mut world = World::new();
    let owner = standby(&mut world, "owner", Rust);
    let next = standby(&mut world, "next", Rust);
    let was = epoch(&mut world, owner);
    world.restart_server();
    world.reconnect(next);
    let asker = world.client("asker", Rust);
    world.run(1_400);
    assert_eq!(home(&mut world, asker), "", "the owner may still come");
    world.run(200);
    assert_eq!(home(&mut world, asker), "next");
    // It was cut off, and is of an earlier life: it ends, and its agent makes another.
    assert!(epoch(&mut world, next) > was);
    let params = world[owner].sim().registration();
    world.connect(owner);
    let end = world.ask(owner, "ar", params).unwrap();
    assert_eq!(end, json!([LEADER]));
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("next", 0)
    );
}

#[test]
fn an_owner_that_ends_by_itself_is_followed_by_another() {
    let mut world = World::new();
    let agents = ["a", "b"].map(|id| standby(&mut world, id, Rust));
    let asker = world.client("asker", Rust);
    let now = epoch(&mut world, agents[0]);
    let mut record = json!({"agentId": "a", "uuid": LEADER, "kind": "service", "endpoint": ""});
    record["huly"] = json!({"epoch": now, "stateless": "Owner"});
    let event = json!({"agents": [], "containers": [{"container": record, "event": 2}]});
    world[agents[0]].sim().containers.clear();
    world.ask(agents[0], "cu", event).unwrap();
    assert_eq!(home(&mut world, asker), "b");
    // Its agent makes another, in reserve.
    world[agents[0]].sim().stand_by(LEADER, "service");
    assert_eq!(world.register(agents[0]), [""; 0]);
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("b", 1)
    );
    // Said by a registration alone, that is the same.
    world[agents[1]].sim().stand_by(LEADER, "service");
    world.register(agents[1]);
    world.run(300);
    assert_eq!(
        (home(&mut world, asker).as_str(), standbys(&world)),
        ("a", 1)
    );
}

#[test]
fn an_agent_that_leaves_hands_the_uuid_on_and_gets_none() {
    let mut world = World::new();
    let agents = ["a", "b", "c"].map(|id| standby(&mut world, id, Rust));
    let asker = world.client("asker", Rust);
    world.get(asker, "service", json!({"uuid": LEADER}));
    for id in ["a", "b"] {
        let agent = agents[usize::from(id == "b")];
        world.ask(agent, "xg", json!({"uuid": id})).unwrap();
    }
    let now = epoch(&mut world, agents[0]);
    let record = json!({"agentId": "a", "uuid": LEADER, "kind": "service", "endpoint": "",
        "huly": {"epoch": now, "stateless": "Owner"}});
    let event = json!({"agents": [], "containers": [{"container": record, "event": 2}]});
    world.ask(agents[0], "cu", event).unwrap();
    assert_eq!(home(&mut world, asker), "c", "b leaves too");
    let held = world.held_events(asker);
    let last = &held.last().unwrap()["placement"];
    assert_eq!(last["lastFailover"]["reason"], "AgentDraining");
}

#[test]
fn a_standby_that_ended_or_failed_is_not_told_to_have_the_uuid() {
    let mut world = World::new();
    let agents = ["a", "b", "c"].map(|id| standby(&mut world, id, Rust));
    let asker = world.client("asker", Rust);
    let record = json!({"agentId": "b", "uuid": LEADER, "kind": "service", "endpoint": "",
        "huly": {"stateless": "Standby"}});
    let event = json!({"agents": [], "containers": [{"container": record, "event": 2}]});
    world.ask(agents[1], "cu", event).unwrap();
    assert_eq!(standbys(&world), 1);
    world.ask(agents[0], "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(home(&mut world, asker), "c");
    assert_eq!(world[agents[1]].sim().called("gg").len(), 0);

    // One that cannot be the owner: another is tried, also where nobody holds the uuid.
    world[agents[1]].sim().stand_by(LEADER, "service");
    world.register(agents[1]);
    let fails = standby(&mut world, "d", Rust);
    world[fails].sim().refuses = Some("not today".into());
    world[fails].sim().containers.clear();
    world.ask(agents[2], "au", json!({"uuid": "c"})).unwrap();
    assert_eq!(world[fails].sim().called("gg").len(), 1);
    world.run(2_000);
    assert_eq!(home(&mut world, asker), "b");
    assert_eq!(world[fails].sim().called("gg").len(), 1);
}

/// Whatever stood by and is being ended, the uuid need not wait for that.
#[test]
fn a_standby_that_is_being_ended_keeps_nobody_from_the_uuid() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["service"]);
    world[agent].sim().stand_by(LEADER, "service");
    world[agent].sim().begin_to_end(LEADER);
    world.register(agent);
    assert!(world[agent].sim().called("ct").is_empty());
    assert_eq!(world.registry.snapshot().standbys.get("service"), None);
    standby(&mut world, "b", Rust);
    let asker = world.client("asker", Rust);
    assert_eq!(home(&mut world, asker), "b");
}

/// An owner that is being ended as the server starts is waited for, and a standby has the uuid next.
#[test]
fn an_owner_that_is_being_ended_is_followed_when_it_has() {
    let mut world = World::new();
    let agents = ["a", "b"].map(|id| standby(&mut world, id, Rust));
    let asker = world.client("asker", Rust);
    world[agents[0]].sim().begin_to_end(LEADER);
    world[agents[0]].sim().mute.push("ct");
    world.restart_server();
    world.connect(asker);
    for agent in agents {
        world.reconnect(agent);
    }
    world.run(3_000);
    assert_eq!(home(&mut world, asker), "", "the old one still runs");
    let end = world[agents[0]].sim().called("ct").pop().unwrap();
    world.answer_call(agents[0], &end);
    world.run(100);
    assert_eq!(home(&mut world, asker), "b");
}

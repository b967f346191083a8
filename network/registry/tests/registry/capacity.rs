//! Kinds of which an agent takes so many containers: whose place becomes free, and who has it then.

use huly_protocol::Op;
use serde_json::json;

use crate::support::{Peer, Rust, World};

/// Agents `a` and `b` that take one container each.
fn one_each() -> (World, Peer, [Peer; 2]) {
    let mut world = World::new();
    let spec = json!({"kind": "k", "revision": 1, "maxPerAgent": 1});
    let operator = world.specify(spec);
    let agents = ["a", "b"].map(|id| world.agent(id, Rust, &["k"]));
    (world, operator, agents)
}

/// A container has ended by itself.
fn end(world: &mut World, agent: Peer, uuid: &str) {
    let sim = world[agent].sim();
    let copy = sim.containers.remove(uuid).expect("it lives there");
    let record = json!({
        "agentId": sim.id, "uuid": uuid, "kind": "k", "endpoint": copy.endpoint, "lastVisit": 0,
        "huly": {"epoch": copy.huly["epoch"]},
    });
    let ended = json!({"agents": [], "containers": [{"event": 2, "container": record}]});
    world.ask(agent, "cu", ended).unwrap();
}

#[test]
fn who_waits_for_room_has_that_of_a_container_whose_start_failed() {
    let (mut world, client, [a, b]) = one_each();
    world.get(client, "k", json!({"uuid": "y"}));
    let (of_y, of_x) = match world.home(client, "y").as_deref() {
        Some("a") => (a, b),
        _ => (b, a),
    };
    world[of_x].sim().mute = vec!["gg"];
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "x"}}));
    let start = world[of_x].sim().called("gg").pop().expect("x starts");
    world.close(of_y);
    world.run(1_000);
    assert_eq!(world[of_x].sim().called("gg").len(), 1, "y has no room");
    world[of_x].sim().mute.clear();
    let error = json!({"message": "disk full", "stack": ""});
    world.say(of_x, Op::ResponseError, &start.id, error.to_string());
    assert!(world.answer(client, &get).expect("an answer").is_err());
    let home = world[of_x].sim().id.clone();
    assert_eq!(world.home(client, "y"), Some(home));
    assert_eq!(world.registry.snapshot().waiting.len(), 0);
}

#[test]
fn who_waits_for_room_has_that_of_a_container_that_keeps_ending() {
    let (mut world, client, [agent, other]) = one_each();
    world.close(other);
    world.run(1_000);
    world.get(client, "k", json!({"uuid": "x"}));
    let get = json!({"uuid": "y", "kind": "k", "request": {"uuid": "y"}});
    world.ask(client, "xr", json!({ "gets": [get] })).unwrap();
    // The first time it begins again at once.
    end(&mut world, agent, "x");
    assert_eq!(world.home(client, "x").as_deref(), Some("a"));
    end(&mut world, agent, "x");
    assert_eq!(world.home(client, "y").as_deref(), Some("a"));
    // It waits for room as y did before.
    world.run(60_000);
    assert_eq!(world.registry.snapshot().waiting["k"], 1);
    world.ask(client, "cr", json!({"uuid": "y"})).unwrap();
    world.run(6_000);
    assert_eq!(world.home(client, "x").as_deref(), Some("a"));
}

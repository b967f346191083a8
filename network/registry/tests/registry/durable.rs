//! Durable references and a server that starts: agents have them in their records, the operator names
//! them.

use serde_json::json;

use crate::support::{Rust, World};

#[test]
fn durable_references_come_back_with_the_agents() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world
        .get_with(
            operator,
            "k",
            json!({"uuid": "u"}),
            json!({"durable": true}),
        )
        .unwrap();
    world.restart_server();
    world.freeze(operator);
    world.reconnect(agent);
    let watcher = world.client("w", Rust);
    world.run(180_000);
    assert_eq!(world.home(watcher, "u").as_deref(), Some("a"));
    let record = world.ask(watcher, "cl", json!({})).unwrap()[0].clone();
    assert_eq!(record["huly"]["references"], 1);
    // The operator is back: it can release what it held before.
    world.thaw(operator);
    world.connect(operator);
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    assert_eq!(
        world[agent].sim().containers["u"].huly["holders"],
        json!([])
    );
    world.run(5_100);
    assert_eq!(world.home(watcher, "u"), None);
}

/// The operator was here before the agent, and is gone again before it could get what is missing.
#[test]
fn what_a_sync_names_before_its_agent_registers_it_stays_durable() {
    for (named, stays) in [("u", true), ("other", false)] {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let operator = world.operator();
        let durable = json!({"durable": true});
        world
            .get_with(operator, "k", json!({"uuid": "u"}), durable)
            .unwrap();
        world.restart_server();
        world.connect(operator);
        let sync = json!({"sync": "1", "uuids": [named], "last": true});
        let synced = world.ask(operator, "xs", sync).unwrap();
        assert_eq!(synced["missing"], json!([named]));
        world.freeze(operator);
        world.reconnect(agent);
        let watcher = world.client("w", Rust);
        world.run(180_000);
        assert_eq!(world.home(watcher, "u").is_some(), stays, "{named}");
    }
}

#[test]
fn what_a_sync_named_and_was_released_then_is_held_no_more() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    let durable = json!({"durable": true});
    world
        .get_with(operator, "k", json!({"uuid": "u"}), durable)
        .unwrap();
    world.restart_server();
    world.connect(operator);
    let sync = json!({"sync": "1", "uuids": ["u"], "last": true});
    world.ask(operator, "xs", sync).unwrap();
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    world.reconnect(agent);
    let watcher = world.client("w", Rust);
    world.run(180_000);
    assert_eq!(world.home(watcher, "u"), None);
}

/// The operator asks for a container before it syncs, and is told after that nothing can host it.
#[test]
fn what_a_sync_names_while_it_is_asked_for_stays_durable_when_the_get_fails() {
    for released in [false, true] {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let operator = world.operator();
        let get = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"durable": true}});
        world.ask(operator, "gg", get.clone()).unwrap();
        world.restart_server();
        world.connect(operator);
        let pending = world.request(operator, "gg", get);
        let sync = json!({"sync": "1", "uuids": ["u"], "last": true});
        let synced = world.ask(operator, "xs", sync).unwrap();
        assert_eq!(synced["missing"], json!([]));
        while world.answer(operator, &pending).is_none() {
            world.run(1_000);
        }
        let error = world.answer(operator, &pending).unwrap().unwrap_err();
        assert_eq!(error["code"], "noSuchKind");
        if released {
            world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
        }
        world.freeze(operator);
        let before = world[agent].sim().called("xh").len();
        world.reconnect(agent);
        let holders = if released {
            json!([])
        } else {
            json!(["operator"])
        };
        assert_eq!(world[agent].sim().containers["u"].huly["holders"], holders);
        // Where it stays, the agent is told nothing meanwhile.
        let told = world[agent].sim().called("xh").len();
        assert_eq!(told, before + usize::from(released));
        let watcher = world.client("w", Rust);
        world.run(180_000);
        assert_eq!(world.home(watcher, "u").is_some(), !released);
    }
}

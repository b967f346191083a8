//! Durable references and a server that starts: agents have them in their records, the operator names
//! them.

use serde_json::json;

use crate::support::{Peer, Rust, World};

/// A network, its agent and its operator, which holds `u` there durably.
fn held() -> (World, Peer, Peer) {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.hold_durably(operator, "k", "u");
    (world, agent, operator)
}

#[test]
fn durable_references_come_back_with_the_agents() {
    let (mut world, agent, operator) = held();
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
        let (mut world, agent, operator) = held();
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
    let (mut world, agent, operator) = held();
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

/// Its agent is back only when the container has been placed anew, for somebody else.
#[test]
fn durable_holders_of_a_life_that_lost_its_uuid_hold_the_later_one() {
    for (synced, stays) in [(None, true), (Some("u"), true), (Some("other"), false)] {
        let (mut world, former, operator) = held();
        world.restart_server();
        let later = world.agent("b", Rust, &["k"]);
        let client = world.client("c", Rust);
        let get = json!({"kind": "k", "request": {"uuid": "u"}});
        let pending = world.request(client, "gg", get);
        world.run(4_000);
        world.answer(client, &pending).unwrap().unwrap();
        if let Some(named) = synced {
            world.connect(operator);
            let sync = json!({"sync": "1", "uuids": [named], "last": true});
            world.ask(operator, "xs", sync).unwrap();
        }
        world.freeze(operator);
        world.reconnect(former);
        let holders = &world[later].sim().containers["u"].huly["holders"];
        let held = holders.as_array().is_some_and(|all| !all.is_empty());
        assert_eq!(held, stays, "{synced:?}: {holders}");
        world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
        world.run(180_000);
        assert_eq!(world.home(client, "u").is_some(), stays, "{synced:?}");
    }
}

/// The operator asks for the container anew meanwhile, and no agent starts it.
#[test]
fn durable_holders_of_a_lost_life_hold_the_later_one_though_their_get_fails() {
    let (mut world, former, operator) = held();
    world.restart_server();
    let later = world.agent("b", Rust, &["k"]);
    world[later].sim().mute = vec!["gg"];
    world.connect(operator);
    let sync = json!({"sync": "1", "uuids": ["u"], "last": true});
    world.ask(operator, "xs", sync).unwrap();
    let get = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"durable": true}});
    let pending = world.request(operator, "gg", get);
    world.run(4_000);
    world.reconnect(former);
    world[later].sim().refuses = Some("not now".into());
    let call = world[later].sim().called("gg")[0].clone();
    world.answer_call(later, &call);
    assert!(world.answer(operator, &pending).unwrap().is_err());
    world.freeze(operator);
    (world[later].sim().refuses, world[later].sim().mute) = (None, Vec::new());
    world.run(180_000);
    let watcher = world.client("w", Rust);
    let home = world.home(watcher, "u").expect("it is held");
    let agent = if home == "b" { later } else { former };
    let holders = &world[agent].sim().containers["u"].huly["holders"];
    assert_eq!(*holders, json!(["operator"]));
}

/// What this server knows better: it placed both lives itself, and heard of the release between them.
#[test]
fn what_was_released_meanwhile_a_lost_life_does_not_bring_back() {
    let (mut world, former, operator) = held();
    let later = world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.freeze(former);
    world.run(5_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    world.thaw(former);
    world.reconnect(former);
    assert_eq!(
        world[later].sim().containers["u"].huly["holders"],
        json!([])
    );
}

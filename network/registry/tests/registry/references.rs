//! Who holds a container, and its end when nobody does (W16).

use serde_json::{Value, json};

use crate::support::{Plain, Rust, World, config};

#[test]
fn a_reference_is_a_member_of_a_set() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let (one, two) = (world.client("c", Plain), world.client("d", Rust));
    for _ in 0..3 {
        world.get(one, "k", json!({"uuid": "u"}));
    }
    world.get(two, "k", json!({"uuid": "u"}));
    assert_eq!(world.registry.snapshot().references["k"], 2);
    // Once released it is released, however often it was got.
    assert_eq!(world.ask(one, "cr", json!({"uuid": "u"})), Ok(json!("ok")));
    assert_eq!(world.ask(one, "cr", json!({"uuid": "u"})), Ok(json!("ok")));
    assert_eq!(world.registry.snapshot().references["k"], 1);
    world.run(20_000);
    assert_eq!(world.home(two, "u").as_deref(), Some("a"));
}

#[test]
fn nobodys_container_is_ended_after_5_s() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        let client = world.client("c", Rust);
        let got = world.ask(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
        world.run(4_990);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        world.run(20);
        assert_eq!(world.home(client, "u"), None);
        let ended = &world[agent].sim().called("ct")[0];
        assert_eq!(ended.params, json!(["u"]));
        if side == Rust {
            assert_eq!(ended.ext["epoch"], got.unwrap()[2]["epoch"]);
        }
        assert!(world[agent].sim().containers.is_empty());
        assert_eq!(world.registry.snapshot().counted.ends["Idle"], 1);
    }
}

#[test]
fn a_get_before_that_saves_it() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(4_000);
    world.get(client, "k", json!({"uuid": "u"}));
    world.run(4_000);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(4_900);
    assert_eq!(
        world.home(client, "u").as_deref(),
        Some("a"),
        "5 s count anew"
    );
    assert_eq!(world[agent].sim().called("gg").len(), 1);
}

#[test]
fn the_specification_says_how_long_it_idles() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    let spec =
        |revision: u64, ms: u64| json!({"kind": "k", "revision": revision, "idleTimeoutMs": ms});
    world.ask(operator, "ks", spec(1, 60_000)).unwrap();
    world.get(operator, "k", json!({"uuid": "u"}));
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    world.run(50_000);
    assert_eq!(world.home(operator, "u").as_deref(), Some("a"));
    // A shorter one holds for what idles already.
    world.ask(operator, "ks", spec(2, 51_000)).unwrap();
    world.run(1_100);
    assert_eq!(world.home(operator, "u"), None);
}

#[test]
fn who_asks_while_it_ends_gets_a_new_one() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let got = json!({"kind": "k", "request": {"uuid": "u"}});
    let before = world.ask(client, "gg", got.clone()).unwrap();
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world[agent].sim().mute = vec!["ct"];
    world.run(5_100);
    let error = world.ask(client, "cs", json!(["u", "op", 1])).unwrap_err();
    assert_eq!(error["code"], "gone");
    let id = world.request(client, "gg", got);
    assert_eq!(
        world.answer(client, &id),
        None,
        "not before the former life is over"
    );
    let held = world.request(client, "cs", json!(["u", "op", 1]));
    let end = world[agent].sim().called("ct").pop().unwrap();
    world.answer_call(agent, &end);
    let after = world.answer(client, &id).unwrap().unwrap();
    assert!(after[2]["epoch"][1].as_u64() > before[2]["epoch"][1].as_u64());
    assert!(world.answer(client, &held).unwrap().is_ok());
}

#[test]
fn durable_references_survive_silence_and_close() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let watcher = world.client("w", Rust);
    let operator = world.operator();
    world.hold_durably(operator, "k", "u");
    assert_eq!(
        world[agent].sim().containers["u"].huly["holders"],
        json!(["operator"])
    );
    world.freeze(operator);
    world.run(90_000);
    assert_eq!(
        world.registry.snapshot().sessions.1,
        2,
        "its session is over"
    );
    assert_eq!(world.home(watcher, "u").as_deref(), Some("a"));
    world.thaw(operator);
    world.connect(operator);
    world.say(operator, huly_protocol::Op::Close, "", "");
    world.run(10_000);
    assert_eq!(world.home(watcher, "u").as_deref(), Some("a"));
    // Only a release ends it.
    world.connect(operator);
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    assert_eq!(world.home(watcher, "u"), None);
}

#[test]
fn an_ordinary_get_does_not_make_a_durable_reference_ordinary() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.get(operator, "k", json!({"uuid": "u"}));
    assert_eq!(world[agent].sim().called("xh").len(), 0);
    world.hold_durably(operator, "k", "u");
    let told = &world[agent].sim().called("xh")[0].params;
    assert_eq!(told[0]["holders"], json!(["operator"]));
    world.get(operator, "k", json!({"uuid": "u"}));
    world.close(operator);
    world.run(20_000);
    assert_eq!(world.registry.snapshot().references["k"], 1);
}

#[test]
fn a_sync_releases_what_it_does_not_name_and_says_what_is_missing() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    for uuid in ["keep", "drop"] {
        world.hold_durably(operator, "k", uuid);
    }
    world.get(operator, "k", json!({"uuid": "ordinary"}));
    let chunk = |name: &str, number: u32, uuids: &[&str], last: bool| json!({"sync": name, "chunk": number, "uuids": uuids, "last": last});
    let empty = Ok(json!({"released": [], "missing": []}));
    // A sync that is never finished releases nothing; another name begins anew.
    assert_eq!(
        world.ask(operator, "xs", chunk("1", 0, &["drop"], false)),
        empty
    );
    assert_eq!(world.registry.snapshot().references["k"], 3);
    assert_eq!(
        world.ask(operator, "xs", chunk("2", 0, &["keep"], false)),
        empty
    );
    let error = world.ask(operator, "xs", chunk("2", 2, &[], true));
    assert_eq!(error.unwrap_err()["code"], "badRequest", "one is missing");
    let error = world.ask(operator, "xs", chunk("2", 1, &[], true));
    assert_eq!(error.unwrap_err()["code"], "badRequest", "it begins anew");
    assert_eq!(
        world.ask(operator, "xs", chunk("2", 0, &["keep"], false)),
        empty
    );
    let done = world
        .ask(operator, "xs", chunk("2", 1, &["absent", "ordinary"], true))
        .unwrap();
    assert_eq!(done["released"], json!(["drop"]));
    assert_eq!(
        done["missing"],
        json!(["absent", "ordinary"]),
        "not held durably"
    );
    world.run(5_100);
    assert_eq!(world.home(operator, "drop"), None);
    assert_eq!(world.home(operator, "keep").as_deref(), Some("a"));
    assert!(world[agent].sim().containers.contains_key("ordinary"));
}

#[test]
fn orphans_are_spared_for_60_s_after_a_restart() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.restart_server();
    world.freeze(client);
    let watcher = world.client("w", Rust);
    world.reconnect(agent);
    // One that was started and let go since is no orphan of before.
    world.run(2_000);
    world.get(watcher, "k", json!({"uuid": "new"}));
    world.ask(watcher, "cr", json!({"uuid": "new"})).unwrap();
    world.run(5_100);
    assert_eq!(world.home(watcher, "new"), None);
    world.run(52_000);
    assert_eq!(world.home(watcher, "u").as_deref(), Some("a"));
    world.run(1_000);
    assert_eq!(world.home(watcher, "u"), None);
}

#[test]
fn at_typescript_agents_the_operator_speaks_first() {
    for secret in [true, false] {
        let mut world = World::new();
        let agent = world.agent("a", Plain, &["k"]);
        world[agent].sim().put("u", "k", json!({}));
        let mut config = config();
        config.instance = "instance-2".into();
        if !secret {
            config.control_secret = None;
        }
        world.restart_with(config);
        world.reconnect(agent);
        let watcher = world.client("w", Rust);
        world.run(120_000);
        assert_eq!(
            world.home(watcher, "u").is_some(),
            secret,
            "secret: {secret}"
        );
        if secret {
            let operator = world.operator();
            let all = json!({"sync": "1", "uuids": [], "last": true});
            world.ask(operator, "xs", all).unwrap();
            world.run(1_100);
            assert_eq!(world.home(watcher, "u"), None);
        }
    }
}

/// W19: nobody asked for a stateless container to be made, so nobody's leaving ends it.
#[test]
fn a_stateless_container_is_not_ended_for_want_of_references() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    world[agent].sim().put("stateless", "service", json!({}));
    world.register(agent);
    let operator = world.operator();
    world
        .ask(
            operator,
            "xs",
            json!({"sync": "1", "uuids": [], "last": true}),
        )
        .unwrap();
    world.get(operator, "service", json!({"uuid": "stateless"}));
    world
        .ask(operator, "cr", json!({"uuid": "stateless"}))
        .unwrap();
    world.run(120_000);
    assert_eq!(world.home(operator, "stateless").as_deref(), Some("a"));
}

#[test]
fn a_get_that_is_released_before_its_answer_holds_nothing() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg"];
    let id = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    let call = world[agent].sim().called("gg").pop().unwrap();
    world.answer_call(agent, &call);
    assert!(world.answer(client, &id).unwrap().is_ok());
    assert_eq!(world.registry.snapshot().references["k"], 0);
    world.run(5_100);
    assert_eq!(world.home(client, "u"), None);
}

#[test]
fn a_durable_reference_is_not_released_without_control() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    let durable = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"durable": true}});
    world.ask(operator, "gg", durable).unwrap();
    let records = world.ask(operator, "cl", json!({})).unwrap();
    assert_eq!(
        records[0]["huly"]["holders"],
        json!(null),
        "ids are not shown"
    );
    world.close(operator);
    world[operator].secret = None;
    world.connect(operator);
    let error = world.ask(operator, "cr", json!({"uuid": "u"})).unwrap_err();
    assert_eq!(error["code"], "notAllowed");
    world.run(10_000);
    assert_eq!(world.home(operator, "u").as_deref(), Some("a"));
}

/// Its client may have given that get up: then its answer says nothing. A fresh session may hear of the
/// get before it hears of the reference, for which there was no room at first.
#[test]
fn who_held_it_before_is_told_though_a_get_of_it_waits() {
    for asserted_first in [true, false] {
        let mut world = World::starting(config());
        let agent = world.agent("a", Rust, &["k"]);
        let (first, client) = (world.client("f", Rust), world.client("c", Rust));
        let get = json!({"kind": "k", "request": {"uuid": "u"}});
        world.request(first, "gg", get.clone());
        if !asserted_first {
            world.request(client, "gg", get.clone());
        }
        world.ask(client, "xr", held_at_b()).unwrap();
        if asserted_first {
            world.request(client, "gg", get);
        }
        world.run(5_000);
        let told = world.held_events(client);
        let endpoint = &world[agent].sim().containers["u"].endpoint;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["endpoint"], *endpoint);
        assert_eq!(
            world.held_events(first).len(),
            0,
            "its get's answer said it"
        );
    }
}

#[test]
fn a_get_that_fails_leaves_what_was_asserted_after_it() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[agent].sim().mute = vec!["gg"];
    let params = json!({"kind": "k", "request": {"uuid": "u"}});
    let get = world.request(client, "gg", params);
    world.ask(client, "xr", held_at_b()).unwrap();
    world[agent].sim().refuses = Some("not now".into());
    let call = world[agent].sim().called("gg")[0].clone();
    world.answer_call(agent, &call);
    assert!(world.answer(client, &get).unwrap().is_err());
    (world[agent].sim().refuses, world[agent].sim().mute) = (None, Vec::new());
    world.run(10_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"), "it is held");
    assert_eq!(world.registry.snapshot().references["k"], 1);
}

/// A reference to a container that lived on an agent that this server never saw.
fn held_at_b() -> Value {
    json!({"gets": [{
        "uuid": "u", "kind": "k", "request": {"uuid": "u"}, "durable": false,
        "epoch": [1, 1], "agentId": "b", "failovers": 0,
    }]})
}

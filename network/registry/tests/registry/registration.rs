//! What agents say they have, and what they are told in return (W17, W19).

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{Plain, Rust, World, text};

#[test]
fn containers_that_are_missing_are_gone_and_new_ones_are_there() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let watcher = world.client("w", Rust);
    world[agent].sim().put("one", "k", json!({}));
    world[agent].sim().put("two", "k", json!({}));
    assert_eq!(world.register(agent), [] as [&str; 0]);
    assert_eq!(world.registry.snapshot().containers["k"], 2);
    world[agent].sim().containers.remove("one");
    world.register(agent);
    assert_eq!(world.home(watcher, "one"), None);
    assert_eq!(world.home(watcher, "two").as_deref(), Some("a"));
}

#[test]
fn an_agent_may_move_its_endpoints() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        let holder = world.client("h", Rust);
        let plain = world.client("p", Plain);
        world.get(holder, "k", json!({"uuid": "u"}));
        world.run(1_000);
        world.events(plain);
        world.events(holder);
        world.register(agent);
        assert_eq!(
            world.held_events(holder).len(),
            0,
            "an equal text changes nothing"
        );
        world[agent].sim().containers.get_mut("u").unwrap().endpoint = "moved".into();
        world.register(agent);
        let held = world.held_events(holder);
        assert_eq!(
            (&held[0]["event"], &held[0]["endpoint"]),
            (&json!(1), &json!("moved"))
        );
        world.run(200);
        let events = world.events(plain);
        let moved = events
            .iter()
            .flat_map(|event| event["containers"].as_array().unwrap());
        let moved: Vec<&Value> = moved.collect();
        assert_eq!(moved.len(), 1);
        assert_eq!(
            (&moved[0]["event"], &moved[0]["container"]["endpoint"]),
            (&json!(1), &json!("moved"))
        );
        let got = world.ask(plain, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        assert_eq!(got, Ok(json!(["u", "moved"])));
    }
}

#[test]
fn a_standby_of_a_stateless_container_is_not_told_to_end_it() {
    let mut world = World::new();
    let mut agents = Vec::new();
    for id in ["a", "b"] {
        let agent = world.agent(id, Plain, &["k"]);
        world[agent].sim().put("stateless", "service", json!({}));
        assert_eq!(world.register(agent), [] as [&str; 0], "{id}");
        agents.push(agent);
    }
    let holder = world.client("h", Rust);
    let plain = world.client("p", Plain);
    world.get(holder, "service", json!({"uuid": "stateless"}));
    assert_eq!(world.home(holder, "stateless").as_deref(), Some("a"));
    world.run(1_000);
    world.events(plain);
    // The owner goes: standbys are told, and the first to register has it.
    world.ask(agents[0], "au", json!({"uuid": "a"})).unwrap();
    world.run(100);
    let events = world.events(plain);
    let removed = |event: &Value| {
        let containers = event["containers"].as_array().unwrap().clone();
        containers
            .iter()
            .any(|it| it["container"]["uuid"] == "stateless" && it["event"] == 2)
    };
    assert!(events.iter().any(removed), "{events:?}");
    world.register(agents[1]);
    assert_eq!(world.home(holder, "stateless").as_deref(), Some("b"));
    world.run(200);
    let events = world.events(plain);
    let last = events.last().unwrap()["containers"][0].clone();
    assert_ne!(
        last["event"], 2,
        "removed and what follows are messages of their own"
    );
    assert!(text(&last["container"]["endpoint"]).contains("\"b\""));
    let held = world.held_events(holder);
    assert_eq!(held.last().unwrap()["placement"]["agentId"], "b");
}

#[test]
fn a_registration_of_many_comes_in_chunks() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let watcher = world.client("w", Rust);
    world[agent]
        .sim()
        .put("kept", "k", json!({"epoch": [1, 1]}));
    world.register(agent);
    let chunk = |uuids: &[&str], number: u32, last: bool| {
        let containers: Vec<Value> = uuids
            .iter()
            .map(|uuid| json!({"agentId": "a", "uuid": uuid, "kind": "k", "endpoint": "e"}))
            .collect();
        json!({"uuid": "a", "kinds": ["k"], "containers": containers,
            "huly": {"chunk": [number, last]}})
    };
    let error = world.ask(agent, "ar", chunk(&["x"], 1, true)).unwrap_err();
    assert_eq!(error["code"], "badRequest", "it begins with 0");
    assert_eq!(
        world.ask(agent, "ar", chunk(&["x"], 0, false)),
        Ok(json!([]))
    );
    assert_eq!(
        world.registry.snapshot().containers["k"],
        1,
        "nothing before the last"
    );
    let error = world.ask(agent, "ar", chunk(&["x"], 2, true)).unwrap_err();
    assert_eq!(error["code"], "badRequest", "one is missing");
    assert_eq!(
        world.ask(agent, "ar", chunk(&["y"], 1, false)),
        Ok(json!([]))
    );
    // Another client's chunk is not a part of it.
    let stranger = world.client("s", Rust);
    assert!(
        world
            .ask(stranger, "ar", chunk(&["evil"], 2, true))
            .is_err()
    );
    assert_eq!(
        world.ask(agent, "ar", chunk(&["z", "kept"], 2, true)),
        Ok(json!([]))
    );
    assert_eq!(world.registry.snapshot().containers["k"], 4);
    // Beginning again forgets what came before.
    world.ask(agent, "ar", chunk(&["x"], 0, false)).unwrap();
    world.ask(agent, "ar", chunk(&["kept"], 0, false)).unwrap();
    world.ask(agent, "ar", chunk(&[], 1, true)).unwrap();
    assert_eq!(world.registry.snapshot().containers["k"], 1);
    assert_eq!(world.home(watcher, "kept").as_deref(), Some("a"));
}

#[test]
fn the_answer_to_a_registration_comes_before_any_call() {
    let mut world = World::new();
    let operator = world.operator();
    world
        .ask(operator, "ks", json!({"kind": "k", "revision": 1}))
        .unwrap();
    let first = world.agent("a", Rust, &["k"]);
    world.get(operator, "k", json!({"uuid": "u"}));
    world[first].sim().put("v", "k", json!({"epoch": [1, 1]}));
    world.restart_server();
    world.connect(operator);
    world.request(operator, "cs", json!(["u", "op", 1]));
    world.connect(first);
    let before = world[first].got.len();
    world.register(first);
    let ops: Vec<Op> = world[first].got[before..]
        .iter()
        .map(|got| got.op)
        .collect();
    assert_eq!(ops[0], Op::Response, "{ops:?}");
    assert!(ops.contains(&Op::Request));
}

#[test]
fn an_agent_that_comes_back_with_another_client_goes_on() {
    for closed in [true, false] {
        let mut world = World::new();
        let first = world.agent("a", Rust, &["k"]);
        let client = world.client("c", Rust);
        world.get(client, "k", json!({"uuid": "u"}));
        world[first].sim().mute = vec!["cs", "gg"];
        let flying = world.request(client, "cs", json!(["u", "op", 1]));
        let starting = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "v"}}));
        let mut held = None;
        if closed {
            world.close(first);
            held = Some(world.request(client, "cs", json!(["u", "op", 2])));
        } else {
            // It hangs with its connection open, and its supervisor starts another.
            world.freeze(first);
            world.run(1_600);
        }
        // The same agent id and container, another process.
        let second = world.peer("second", Rust);
        let mut sim = crate::support::AgentSim::new("a", Rust, &["k"]);
        sim.containers = world[first].sim().containers.clone();
        world[second].agent = Some(sim);
        world.connect(second);
        assert_eq!(world.register(second), [] as [&str; 0]);
        let error = world
            .answer(client, &flying)
            .expect("it is not left hanging")
            .unwrap_err();
        assert_eq!(error["code"], "outcomeUnknown");
        assert_eq!(world.answer(client, &starting).unwrap().unwrap()[0], "v");
        assert!(held.is_none_or(|id| world.answer(client, &id).unwrap().is_ok()));
        world.run(10_000);
        assert!(world.ask(client, "cs", json!(["u", "op", 3])).is_ok());
        assert_eq!(world.registry.snapshot().calls, 0);
    }
}

#[test]
fn specifications_reach_the_agents_that_serve_the_kind() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let other = world.agent("b", Rust, &["other"]);
    let plain = world.agent("p", Plain, &["k"]);
    let operator = world.operator();
    let spec = json!({"kind": "k", "revision": 2, "idleTimeoutMs": 9_000});
    assert_eq!(world.ask(operator, "ks", spec.clone()), Ok(json!("ok")));
    assert_eq!(world[agent].sim().specs[0]["revision"], 2);
    assert!(world[other].sim().calls.is_empty() && world[plain].sim().calls.is_empty());
    let known = world.ask(operator, "kl", json!({})).unwrap();
    assert_eq!(
        (&known[0]["revision"], &known[0]["idleTimeoutMs"]),
        (&json!(2), &json!(9_000))
    );
    let late = world.agent("late", Rust, &["k"]);
    assert_eq!(world[late].sim().specs[0]["revision"], 2);
    // Who knows it is not told again.
    let calls = world[late].sim().calls.len();
    world.register(late);
    assert_eq!(world[late].sim().calls.len(), calls);
    // The end of the full set.
    world
        .ask(operator, "ks", json!({"kind": "other", "revision": 1}))
        .unwrap();
    assert_eq!(
        world.ask(operator, "kr", json!({"kinds": ["other"]})),
        Ok(json!(["k"]))
    );
    assert_eq!(world[agent].sim().called("kr")[0].params, json!(["k"]));
    assert_eq!(
        world
            .ask(operator, "kl", json!({}))
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Who still repeats it is told that it is gone.
    world[agent].sim().specs = json!([spec]);
    world.register(agent);
    assert_eq!(world[agent].sim().called("kr").len(), 2);
}

#[test]
fn a_container_keeps_its_specification_when_its_kind_loses_it() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let spec = json!({"kind": "k", "revision": 1, "idleTimeoutMs": 60_000,
        "agentSelector": {"matchExpressions": [{"key": "bad", "operator": "DoesNotExist"}]}});
    let operator = world.specify(spec);
    world.get(operator, "k", json!({"uuid": "u"}));
    world.ask(operator, "kr", json!({"kinds": []})).unwrap();
    let bad = world.agent("b", Rust, &["k"]);
    world[bad].sim().labels = json!({"bad": "yes"});
    world.register(bad);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(world.home(operator, "u"), None, "also at a failover");
    world.agent("d", Rust, &["k"]);
    assert_eq!(world.home(operator, "u").as_deref(), Some("d"));
    world.ask(operator, "cr", json!({"uuid": "u"})).unwrap();
    world.run(30_000);
    assert_eq!(world.home(operator, "u").as_deref(), Some("d"));
}

#[test]
fn an_id_that_a_living_agent_has_is_refused() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.peer("second", Rust);
    world.connect(second);
    let said = json!({"uuid": "a", "containers": [], "kinds": ["k"], "huly": {"specs": []}});
    let error = world.ask(second, "ar", said).unwrap_err();
    assert_eq!(error["code"], "notAllowed");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("another agent has the id a"), "{message}");
    world.run(5_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(world.registry.snapshot().counted.agents_lost.len(), 0);
}

/// A TypeScript client registers its agents at each server, and only then sends again what was not
/// answered: its leaving among it is what it said last.
#[test]
fn a_typescript_agent_that_left_as_the_server_ended_has_left() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.restart_server();
    world.connect(client);
    world.reconnect(agent);
    world.get(client, "k", json!({"uuid": "u"}));
    world.agent("b", Rust, &["k"]);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    world.request_as(agent, "client-of-a-0", "au", json!({"uuid": "a"}));
    assert_eq!(world.answer(agent, "client-of-a-0"), Some(Ok(json!("ok"))));
    world.run(2_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    // It had come back, too.
    let back = world[agent].sim().registration();
    world.request_as(agent, "client-of-a-00", "ar", back);
    let answer = world.answer(agent, "client-of-a-00");
    assert_eq!(answer, Some(Ok(json!(["u"]))), "b has it");
    assert_eq!(world.registry.snapshot().agents.values().sum::<usize>(), 2);
}

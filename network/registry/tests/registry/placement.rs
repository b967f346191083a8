//! Which agent gets a container, and what is said when none can (W15).

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{Plain, Rust, World};

/// Where new containers go, one after the other.
fn homes(world: &mut World, kind: &str, count: usize) -> Vec<String> {
    let asker = world.client(&format!("asker-{}", world.peers.len()), Rust);
    (0..count)
        .map(|_| {
            let new = json!({"new": true});
            let got = world.get_with(asker, kind, json!({}), new).unwrap();
            got[2]["agentId"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn round_robin_goes_through_the_agents_that_serve_the_kind() {
    let mut world = World::new();
    world.agent("b", Rust, &["k"]);
    world.agent("a", Plain, &["k", "other"]);
    world.agent("c", Rust, &["other"]);
    assert_eq!(homes(&mut world, "k", 4), ["b", "a", "b", "a"]);
    assert_eq!(
        homes(&mut world, "other", 3),
        ["c", "a", "c"],
        "each kind by itself"
    );
    world.agent("d", Rust, &["k"]);
    assert_eq!(
        homes(&mut world, "k", 3),
        ["d", "b", "a"],
        "it goes on where it was"
    );
}

/// A process that is paused, or a machine without power, closes nothing: what starts there waits
/// until its agent is given up.
#[test]
fn an_agent_that_was_not_heard_of_lately_is_passed_by() {
    let mut world = World::new();
    let agents = [("a", Rust), ("b", Plain), ("c", Rust)];
    let [a, b, _] = agents.map(|(id, side)| world.agent(id, side, &["k"]));
    world.freeze(a);
    world.run(1_600);
    assert_eq!(homes(&mut world, "k", 4), ["b", "c", "b", "c"]);
    world.thaw(a);
    world.run(1);
    assert_eq!(homes(&mut world, "k", 3), ["a", "b", "c"]);
    // It was heard of, but cannot be told anything.
    world.cut(a);
    assert_eq!(homes(&mut world, "k", 3), ["b", "c", "b"]);
    world.reconnect(a);
    // It pings once a second.
    world.freeze(b);
    world.run(2_600);
    assert_eq!(homes(&mut world, "k", 3), ["c", "a", "c"]);
}

#[test]
fn where_all_that_fit_are_silent_one_of_them_has_it() {
    let mut world = World::new();
    let selector = json!({"matchLabels": {"zone": "north"}});
    world.specify(json!({"kind": "k", "revision": 1, "agentSelector": selector}));
    let silent = world.agent("a", Rust, &["k"]);
    world[silent].sim().labels = json!({"zone": "north"});
    world.register(silent);
    world.agent("b", Rust, &["k"]);
    world.freeze(silent);
    world.run(1_600);
    let asker = world.client("asker", Rust);
    let get = world.request(asker, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert_eq!(world.answer(asker, &get), None);
    world.thaw(silent);
    assert!(world.answer(asker, &get).unwrap().is_ok());
    assert_eq!(world.home(asker, "u").as_deref(), Some("a"));
}

#[test]
fn no_agent_is_an_error_that_typescript_clients_know() {
    let mut world = World::new();
    world.agent("a", Rust, &["other"]);
    let plain = world.client("p", Plain);
    let rust = world.client("r", Rust);
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let error = world.ask(plain, "gg", get.clone()).unwrap_err();
    let starts = "No suitable agents found for container k";
    assert!(
        error["message"].as_str().unwrap().starts_with(starts),
        "{error}"
    );
    assert_eq!(error["stack"], "");
    let error = world.ask(rust, "gg", get).unwrap_err();
    assert!(error["message"].as_str().unwrap().starts_with(starts));
    assert_eq!(error["code"], "noSuchKind");
    assert_eq!(
        error["rejections"],
        json!([{"reason": "KindNotServed", "agents": 1}])
    );
    assert_eq!(world.registry.snapshot().references.get("k"), None);
    // Its next try, when it sees the agent, works.
    world.agent("b", Rust, &["k"]);
    assert_eq!(world.get(plain, "k", json!({"uuid": "u"})), "u");
}

#[test]
fn rejections_are_counted_by_reason() {
    let mut world = World::new();
    let operator = world.operator();
    let spec = json!({"kind": "k", "revision": 1, "maxPerAgent": 1,
        "agentSelector": {"matchLabels": {"zone": "west"}}});
    let get = |uuid: &str| json!({"kind": "k", "request": {"uuid": uuid}});
    world.ask(operator, "ks", spec).unwrap();
    let error = world.ask(operator, "gg", get("u")).unwrap_err();
    assert_eq!(
        error["code"], "noSuitableAgent",
        "the kind is known, only nobody is there"
    );
    assert_eq!(error["rejections"], Value::Null);

    let west = world.agent("west", Rust, &["k"]);
    world[west].sim().labels = json!({"zone": "west"});
    world.register(west);
    world.agent("east", Rust, &["k"]);
    world.agent("plain", Plain, &["k"]);
    world.agent("idle", Rust, &["other"]);
    let draining = world.agent("draining", Rust, &["k"]);
    world
        .ask(draining, "xg", json!({"uuid": "draining"}))
        .unwrap();
    let suspected = world.agent("suspected", Rust, &["k"]);
    world.get(operator, "k", json!({"uuid": "first"}));
    assert_eq!(world.home(operator, "first").as_deref(), Some("west"));
    world.close(suspected);
    let error = world.ask(operator, "gg", get("second")).unwrap_err();
    assert_eq!(error["code"], "noSuitableAgent");
    let expected = json!([
        {"reason": "AtCapacity", "agents": 1},
        {"reason": "Draining", "agents": 1},
        {"reason": "KindNotServed", "agents": 1},
        {"reason": "SelectorMismatch", "agents": 2},
        {"reason": "Suspected", "agents": 1},
    ]);
    assert_eq!(error["rejections"], expected);
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("0/6 agents") && message.contains("2 SelectorMismatch"),
        "{message}"
    );
}

#[test]
fn selectors_mean_what_kubernetes_means() {
    let mut world = World::new();
    let operator = world.operator();
    let agent = world.agent("a", Rust, &["k"]);
    world[agent].sim().labels = json!({"disk": "ssd"});
    world.register(agent);
    let requirement = |operator: &str, key: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
    let cases = [
        (requirement("In", "disk", &["hdd", "ssd"]), true),
        (requirement("In", "disk", &["hdd"]), false),
        (requirement("NotIn", "disk", &["hdd"]), true),
        (requirement("NotIn", "gpu", &["any"]), true),
        (requirement("NotIn", "disk", &["ssd"]), false),
        (requirement("Exists", "disk", &[]), true),
        (requirement("Exists", "gpu", &[]), false),
        (requirement("DoesNotExist", "gpu", &[]), true),
        (requirement("DoesNotExist", "disk", &[]), false),
    ];
    for (number, (requirement, fits)) in cases.into_iter().enumerate() {
        let selector = json!({"matchExpressions": [requirement]});
        let spec = json!({"kind": "k", "revision": number + 1, "agentSelector": selector});
        world.ask(operator, "ks", spec).unwrap();
        let get = json!({"kind": "k", "request": {"uuid": format!("u{number}")}});
        assert_eq!(world.ask(operator, "gg", get).is_ok(), fits, "{selector}");
    }
}

#[test]
fn what_is_at_capacity_takes_one_more_when_one_has_ended() {
    let mut world = World::new();
    let spec = json!({"kind": "k", "revision": 1, "maxPerAgent": 1, "idleTimeoutMs": 0});
    let operator = world.specify(spec);
    let agent = world.agent("a", Rust, &["k"]);
    let other = world.agent("b", Rust, &["k"]);
    world.get(operator, "k", json!({"uuid": "one"}));
    world.get(operator, "k", json!({"uuid": "two"}));
    // The one that was held before waits for the next place that is free.
    world.ask(other, "au", json!({"uuid": "b"})).unwrap();
    let lost = if world.home(operator, "one").is_none() {
        "one"
    } else {
        "two"
    };
    let kept = if lost == "one" { "two" } else { "one" };
    assert_eq!(world.registry.snapshot().waiting["k"], 1);
    assert_eq!(world.home(operator, lost), None);
    world.ask(operator, "cr", json!({"uuid": kept})).unwrap();
    world.run(10);
    assert_eq!(world.home(operator, lost).as_deref(), Some("a"));
    assert_eq!(world[agent].sim().called("ct").len(), 1);
    assert_eq!(world.registry.snapshot().waiting.len(), 0);
}

#[test]
fn a_draining_agent_gets_nothing_and_keeps_what_it_has() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    assert_eq!(
        world.ask(agent, "xg", json!({"uuid": "a"})),
        Ok(json!("ok"))
    );
    world.agent("b", Rust, &["k"]);
    assert_eq!(homes(&mut world, "k", 2), ["b", "b"]);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
    let agents = world.ask(client, "al", json!({})).unwrap();
    assert_eq!(agents[0]["huly"]["state"], "Draining");
}

/// A get that reached an agent as it began to leave.
#[test]
fn what_a_leaving_agent_does_not_start_any_more_starts_elsewhere() {
    for code in ["busy", "interrupted"] {
        let mut world = World::new();
        let leaving = world.agent("a", Rust, &["k"]);
        let client = world.client("c", Rust);
        world[leaving].sim().mute = vec!["gg"];
        let got = world.request(client, "gg", json!(["k", {"uuid": "u"}]));
        let start = world[leaving].sim().called("gg")[0].clone();
        world.agent("b", Rust, &["k"]);
        world.ask(leaving, "xg", json!({"uuid": "a"})).unwrap();
        let error = json!({"message": "it leaves", "stack": "", "code": code});
        world.say(leaving, Op::ResponseError, &start.id, error.to_string());
        let answer = world.answer(client, &got).expect("it is answered");
        assert_eq!(answer.unwrap()[0], "u", "{code}");
        assert_eq!(world.home(client, "u").as_deref(), Some("b"), "{code}");
        assert_eq!(world.registry.snapshot().counted.failovers.len(), 0);
    }
}

#[test]
fn a_failed_start_is_tried_again_elsewhere_for_those_who_hold_it() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let broken = world.agent("b", Rust, &["k"]);
    world[broken].sim().refuses = Some("disk full".into());
    world.agent("d", Rust, &["k"]);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(world.home(client, "u"), None, "the next one refused");
    world.run(1_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("d"));
    let records = world.ask(client, "cl", json!({})).unwrap();
    assert_eq!(
        records[0]["huly"]["failovers"], 1,
        "one failover, however many tries"
    );
    assert_eq!(records[0]["huly"]["lastFailover"]["to"], "d");
}

#[test]
fn a_failed_start_that_then_finds_no_agent_waits_for_one() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let broken = world.agent("b", Rust, &["k"]);
    world[broken].sim().refuses = Some("disk full".into());
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    world.ask(broken, "au", json!({"uuid": "b"})).unwrap();
    world.run(20_000);
    assert_eq!(world.registry.snapshot().waiting["k"], 1);
    world.agent("d", Rust, &["k"]);
    assert_eq!(world.home(client, "u").as_deref(), Some("d"));
    let records = world.ask(client, "cl", json!({})).unwrap();
    assert_eq!(records[0]["huly"]["failovers"], 1);
    assert_eq!(
        world.registry.snapshot().counted.failovers["AgentUnregistered"],
        1
    );
}

#[test]
fn lists_say_what_is_there() {
    let mut world = World::new();
    world.agent("a", Rust, &["k", "other"]);
    world.agent("b", Plain, &["k"]);
    let rust = world.client("r", Rust);
    let plain = world.client("p", Plain);
    world.get(rust, "k", json!({"uuid": "u"}));
    world.get(rust, "k", json!({"uuid": "v"}));
    world.get(
        rust,
        "other",
        json!({"uuid": "w", "labels": ["x"], "extra": {"n": 1}}),
    );
    for asker in [rust, plain] {
        assert_eq!(world.ask(asker, "ak", json!({})), Ok(json!(["k", "other"])));
        let agents = world.ask(asker, "al", json!({})).unwrap();
        assert_eq!(agents[0]["agentId"], "a");
        assert_eq!(
            (&agents[0]["containers"], &agents[1]["containers"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(agents[0]["huly"].is_object(), asker == rust);
        let uuids = |found: Value| -> Vec<Value> {
            found
                .as_array()
                .unwrap()
                .iter()
                .map(|record| record["uuid"].clone())
                .collect()
        };
        assert_eq!(
            uuids(world.ask(asker, "cl", json!({"kind": "k"})).unwrap()),
            ["u", "v"]
        );
        assert_eq!(
            uuids(world.ask(asker, "cl", json!({"kind": null})).unwrap()).len(),
            3
        );
        assert_eq!(
            uuids(world.ask(asker, "cl", json!({"kind": "none"})).unwrap()).len(),
            0
        );
        let record = world.ask(asker, "cl", json!({"kind": "other"})).unwrap()[0].clone();
        assert_eq!(
            (&record["labels"], &record["extra"]),
            (&json!(["x"]), &json!({"n": 1}))
        );
        // W10: filled in, also for one that the server had started.
        assert!(record["endpoint"].as_str().unwrap().contains("3738"));
        assert_eq!(record["huly"].is_object(), asker == rust);
    }
}

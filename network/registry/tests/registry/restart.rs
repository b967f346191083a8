//! Another server process: everything is told to it again.

use serde_json::json;

use crate::support::{AgentSim, Peer, Plain, Rust, WALL, World, config};

/// A server that has just started again; `u` lives at `a`, which has not registered yet.
pub(crate) fn restarted() -> (World, Peer, Peer) {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(
        client,
        "k",
        json!({"uuid": "u", "labels": ["x"], "extra": {"n": 1}}),
    );
    world.restart_server();
    (world, agent, client)
}

pub(crate) fn assert_again(client: &str, epoch: &serde_json::Value) -> serde_json::Value {
    json!({"gets": [{"uuid": "u", "kind": "k", "request": {"uuid": "u", "labels": ["x"]},
        "epoch": epoch, "agentId": "a", "failovers": 2, "client": client}]})
}

#[test]
fn gets_and_requests_are_held_and_served_when_the_agent_registers() {
    let (mut world, agent, client) = restarted();
    let plain = world.client("p", Plain);
    world.connect(client);
    let early = world.request(plain, "cs", json!(["u", "op", 1]));
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let held = world.request(client, "cs", json!(["u", "op", 2]));
    let labels = world.request(
        plain,
        "gg",
        json!({"kind": "k", "request": {"labels": ["z"]}}),
    );
    world.run(700);
    for (peer, id) in [
        (plain, &early),
        (client, &get),
        (client, &held),
        (plain, &labels),
    ] {
        assert_eq!(world.answer(peer, id), None);
    }
    world.reconnect(agent);
    assert_eq!(world.answer(client, &get).unwrap().unwrap()[0], "u");
    assert!(world.answer(client, &held).unwrap().is_ok());
    assert!(world.answer(plain, &early).unwrap().is_ok());
    assert_eq!(
        world[agent].sim().called("gg").len(),
        1,
        "the one before the restart"
    );
    world.run(10_000);
    assert!(world.answer(plain, &labels).unwrap().is_ok());
    let record = world.ask(client, "cl", json!({"kind": "k"})).unwrap()[0].clone();
    assert_eq!(
        (&record["labels"], &record["extra"]),
        (&json!(["x"]), &json!({"n": 1}))
    );
}

#[test]
fn what_was_sent_before_the_restart_may_have_run() {
    let (mut world, _agent, client) = restarted();
    world.connect(client);
    let epoch = json!([1, 1]);
    world.ask(client, "xr", assert_again("c", &epoch)).unwrap();
    let again = json!(["u", "op", 1, {"epoch": epoch}]);
    let again = world.request(client, "cs", again);
    let first = world.request(client, "cs", json!(["u", "op", 2, {"timeoutMs": 9_000}]));
    // Nobody wants the container any more, so nobody waits for it.
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    let code = |id: &str| world.answer(client, id).unwrap().unwrap_err()["code"].clone();
    assert_eq!(code(&again), json!("outcomeUnknown"));
    assert_eq!(code(&first), json!("noSuchContainer"));
    // The same where the server does not know it at all.
    world.run(5_000);
    let again = json!(["u", "op", 3, {"epoch": epoch}]);
    let again = world.request(client, "cs", again);
    let code = world.answer(client, &again).unwrap().unwrap_err()["code"].clone();
    assert_eq!(code, json!("outcomeUnknown"));
}

#[test]
fn who_is_asked_for_and_not_registered_is_placed_after_settling() {
    let (mut world, _gone, client) = restarted();
    world.agent("b", Rust, &["k"]);
    world.connect(client);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let early = world.request(client, "cs", json!(["nobody", "op", 1]));
    world.run(1_490);
    assert_eq!(world.answer(client, &get), None, "its agent may still come");
    assert!(world.registry.snapshot().settling);
    world.run(20);
    assert_eq!(
        world.answer(client, &get).unwrap().unwrap()[2]["agentId"],
        "b"
    );
    let error = world.answer(client, &early).unwrap().unwrap_err();
    assert_eq!(error["code"], "noSuchContainer");
    assert!(!world.registry.snapshot().settling);
    assert_eq!(world.registry.snapshot().held, (0, 0));
}

/// As behind a Service, which leads nobody to a server that has just started.
#[test]
fn those_who_find_the_server_late_have_their_time_too() {
    let (mut world, agent, client) = restarted();
    let earlier = 1;
    world[client].term = earlier;
    world[agent].term = earlier;
    world.run(5_000);
    assert!(!world.registry.snapshot().settling);
    world.connect(client);
    assert!(world.registry.snapshot().settling);
    world.agent("b", Rust, &["k"]);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    world.run(1_490);
    assert_eq!(world.answer(client, &get), None, "its agent may still come");
    world.reconnect(agent);
    assert_eq!(
        world.answer(client, &get).unwrap().unwrap()[2]["agentId"],
        "a"
    );
    world.run(20);
    assert!(!world.registry.snapshot().settling, "once is enough");
    world.close(client);
    world.connect(client);
    assert!(!world.registry.snapshot().settling);
}

/// What was not answered is sent again after the agent has registered anew.
#[test]
fn a_registration_that_a_typescript_agent_made_before_its_last_is_no_news() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    let before = world[agent].sim().registration();
    world.get(client, "k", json!({"uuid": "u"}));
    world.restart_server();
    world.connect(client);
    world.reconnect(agent);
    world.get(client, "k", json!({"uuid": "u"}));
    world.request_as(agent, "client-of-a-0", "ar", before.clone());
    let answer = world.answer(agent, "client-of-a-0");
    assert_eq!(answer, Some(Ok(json!([]))));
    world.run(5_000);
    assert_eq!(world[agent].sim().called("gg").len(), 1, "it has it");
    // The same, said now.
    world.request(agent, "ar", before);
    world.run(5_000);
    assert_eq!(
        world[agent].sim().called("gg").len(),
        2,
        "it has it no more"
    );
}

/// Nor where it comes before the last one over a new connection, as the first that was not answered.
#[test]
fn nor_is_one_that_comes_first_over_a_new_connection() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    let before = world[agent].sim().registration();
    world.request_as(agent, "client-of-a-100", "ar", before.clone());
    world.get(client, "k", json!({"uuid": "u"}));
    world.close(agent);
    world.connect(agent);
    world.request_as(agent, "client-of-a-100", "ar", before.clone());
    assert_eq!(
        world.answers(agent, "client-of-a-100").last(),
        Some(&Ok(json!([])))
    );
    let now = world[agent].sim().registration();
    world.request_as(agent, "client-of-a-101", "ar", now);
    assert_eq!(world.answer(agent, "client-of-a-101"), Some(Ok(json!([]))));
    world.run(5_000);
    assert_eq!(world[agent].sim().called("gg").len(), 1, "it went on");
    // Of another client, which serves the agent now, it is news.
    let other = world.peer("other", Plain);
    world[other].agent = Some(AgentSim::new("a", Plain, &["k"]));
    world.connect(other);
    world.request_as(other, "other-0", "ar", before);
    world.run(5_000);
    assert_eq!(
        world[other].sim().called("gg").len(),
        1,
        "it does not have it"
    );
}

#[test]
fn the_later_life_wins_while_settling_whoever_registers_first() {
    for first_is_older in [true, false] {
        let mut world = World::starting(config());
        let client = world.client("c", Rust);
        let mut told = Vec::new();
        let mut order = [("old", json!([1, 7])), ("new", json!([2, 1]))];
        if !first_is_older {
            order.reverse();
        }
        for (id, epoch) in order {
            let peer = world.peer(id, Rust);
            world[peer].agent = Some(AgentSim::new(id, Rust, &["k"]));
            world.connect(peer);
            world[peer].sim().put("u", "k", json!({"epoch": epoch}));
            told.push((id, world.register(peer)));
        }
        assert_eq!(world.home(client, "u").as_deref(), Some("new"));
        let old = told.iter().find(|(id, _)| *id == "old").unwrap();
        assert_eq!(old.1.is_empty(), first_is_older, "else told in the answer");
        let old = world
            .peers
            .iter()
            .find(|peer| peer.client == "old")
            .unwrap();
        assert!(old.agent.as_ref().unwrap().containers.is_empty());
    }
}

/// Of the server before, which was cut off with an agent and placed there what it missed.
fn copy_of_the_server_before(world: &mut World) -> Vec<String> {
    let late = world.peer("late", Rust);
    world[late].agent = Some(AgentSim::new("late", Rust, &["k"]));
    world.connect(late);
    let life = json!({"epoch": [WALL, 9], "failovers": 1});
    world[late].sim().put("u", "k", life);
    world.register(late)
}

#[test]
fn what_has_served_goes_on_when_copies_of_the_server_before_come() {
    let (mut world, agent, client) = restarted();
    world.reconnect(agent);
    world.connect(client);
    world.run(1_600);
    assert_eq!(copy_of_the_server_before(&mut world), ["u"]);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert!(world[agent].sim().containers.contains_key("u"));
}

#[test]
fn what_clients_knew_to_be_over_ends_when_its_later_life_comes() {
    for (settled, home) in [(false, "late"), (true, "a")] {
        let (mut world, agent, client) = restarted();
        world.reconnect(agent);
        world.connect(client);
        if settled {
            // Beyond the cut they knew no better.
            world.run(1_600);
        }
        let known = assert_again("c", &json!([WALL, 9]));
        world.ask(client, "xr", known).unwrap();
        world.run(1_600);
        let ended = copy_of_the_server_before(&mut world);
        assert_eq!(ended.is_empty(), !settled);
        assert_eq!(world.home(client, "u").as_deref(), Some(home));
    }
}

#[test]
fn specifications_come_back_with_the_agents_until_the_operator_speaks() {
    let mut world = World::starting(config());
    for (id, revision) in [("a", 3), ("b", 5), ("d", 4)] {
        let peer = world.peer(id, Rust);
        world[peer].agent = Some(AgentSim::new(id, Rust, &["k"]));
        world.connect(peer);
        world[peer].sim().specs = json!([{"kind": "k", "revision": revision, "maxPerAgent": 1}]);
        world.register(peer);
    }
    let operator = world.operator();
    let known = world.ask(operator, "kl", json!({})).unwrap();
    assert_eq!(known[0]["revision"], 5, "the highest holds");
    let late = world.peers.iter().find(|peer| peer.client == "d").unwrap();
    assert_eq!(
        late.agent.as_ref().unwrap().specs[0]["revision"],
        5,
        "and is passed on"
    );
    world
        .ask(operator, "ks", json!({"kind": "k", "revision": 6}))
        .unwrap();
    let known = world.ask(operator, "kl", json!({})).unwrap();
    assert_eq!(known[0]["revision"], 6);
}

#[test]
fn failover_figures_survive_the_server() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    let before = world.ask(client, "cl", json!({})).unwrap()[0]["huly"].clone();
    assert_eq!(before["failovers"], 1);
    world.restart_server();
    world.reconnect(second);
    world.connect(client);
    let after = world.ask(client, "cl", json!({})).unwrap()[0]["huly"].clone();
    for member in [
        "failovers",
        "lastFailover",
        "epoch",
        "firstClient",
        "byUuid",
    ] {
        assert_eq!(after[member], before[member], "{member}");
    }
}

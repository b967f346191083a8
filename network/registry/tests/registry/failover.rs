//! What happens when an agent is gone, comes back, or was only silent.

use serde_json::json;

use crate::support::{Peer, Plain, Rust, Side, WALL, World, config, text};

/// Agents `a` and `b`, a client that holds `u` on `a`.
fn two(side: Side) -> (World, Peer, Peer, Peer) {
    let mut world = World::new();
    let first = world.agent("a", side, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", side, &["k"]);
    world.events(client);
    (world, first, second, client)
}

#[test]
fn a_closed_connection_is_suspicion_and_then_the_end() {
    for (side, grace) in [(Rust, 750), (Plain, 1_000)] {
        let (mut world, first, _, client) = two(side);
        world.close(first);
        assert_eq!(world.registry.snapshot().agents["Suspected"], 1);
        let held = world.request(client, "cs", json!(["u", "op", 7]));
        let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        world.run(grace - 10);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        assert_eq!(
            (world.answer(client, &held), world.answer(client, &get)),
            (None, None)
        );
        world.run(20);
        assert_eq!(world.home(client, "u").as_deref(), Some("b"));
        assert_eq!(world.answer(client, &held).unwrap().unwrap()["on"], "b");
        assert!(world.answer(client, &get).unwrap().is_ok());
        let counted = world.registry.snapshot().counted;
        assert_eq!(counted.agents_lost["ConnectionClosed"], 1);
        assert_eq!(counted.failovers["ConnectionClosed"], 1);
    }
}

#[test]
fn who_is_back_within_the_grace_goes_on() {
    for side in [Rust, Plain] {
        let (mut world, first, second, client) = two(side);
        world.close(first);
        let held: Vec<String> = (0..3)
            .map(|n| world.request(client, "cs", json!(["u", format!("op{n}"), null])))
            .collect();
        world.run(500);
        world.reconnect(first);
        world.run(10_000);
        for id in &held {
            assert_eq!(world.answer(client, id).unwrap().unwrap()["on"], "a");
        }
        let ran: Vec<String> = world[first]
            .sim()
            .ran
            .iter()
            .map(|(_, op)| op.clone())
            .collect();
        assert_eq!(ran, ["op0", "op1", "op2"], "in the order sent");
        assert!(world[second].sim().calls.is_empty());
        assert_eq!(world.held_events(client).len(), 0, "nothing moved");
        assert_eq!(world.registry.snapshot().counted.agents_lost.len(), 0);
    }
}

#[test]
fn a_hello_alone_ends_the_suspicion() {
    let (mut world, first, _, client) = two(Rust);
    world.close(first);
    let held = world.request(client, "cs", json!(["u", "op", 1]));
    world.run(700);
    world.connect(first);
    assert_eq!(world.answer(client, &held).unwrap().unwrap()["on"], "a");
    world.run(10_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    // Another one's hello does not.
    world.close(first);
    let impostor = world.peer("client-of-a", Rust);
    world[impostor].nonce = "another process".into();
    world.connect(impostor);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn calls_under_way_are_sent_again_and_run_once_at_a_rust_agent() {
    let (mut world, first, _, client) = two(Rust);
    world[first].sim().mute = vec!["cs"];
    let id = world.request(client, "cs", json!(["u", "op", 1]));
    let call = world[first].sim().called("cs")[0].clone();
    assert_eq!(
        (&call.ext["client"], &call.ext["request"]),
        (&json!("c"), &json!(id))
    );
    world[first].sim().act(&call).unwrap();
    world[first].sim().mute = vec![];
    world.close(first);
    world.reconnect(first);
    assert_eq!(world[first].sim().called("cs").len(), 2);
    assert_eq!(world[first].sim().ran.len(), 1);
    assert!(world.answer(client, &id).unwrap().is_ok());
}

#[test]
fn a_silent_agent_is_gone_after_its_alive_timeout() {
    let (mut world, first, _, client) = two(Rust);
    let flying = {
        world.freeze(first);
        world.request(client, "cs", json!(["u", "op", 1]))
    };
    world.run(2_500);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(world.answer(client, &flying), None);
    world.run(600);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    let error = world.answer(client, &flying).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert_eq!(
        world.registry.snapshot().counted.agents_lost["AgentSilent"],
        1
    );
}

#[test]
fn holders_are_told_once_and_get_the_figures() {
    let (mut world, first, second, client) = two(Rust);
    let stranger = world.client("s", Rust);
    world.freeze(first);
    world[second].sim().mute = vec!["gg"];
    world.run(3_100);
    world.run(400);
    let call = world[second].sim().called("gg")[0].clone();
    assert_eq!(call.ext["failovers"], 1);
    world.answer_call(second, &call);
    world.run(1_000);
    let held = world.held_events(client);
    assert_eq!(held.len(), 1, "{held:?}");
    let event = &held[0];
    assert_eq!((&event["uuid"], &event["event"]), (&json!("u"), &json!(1)));
    let placement = &event["placement"];
    assert_eq!(
        (&placement["agentId"], &placement["failovers"]),
        (&json!("b"), &json!(1))
    );
    assert_eq!(
        event["endpoint"],
        world[second].sim().containers["u"].endpoint
    );
    let last = &placement["lastFailover"];
    assert_eq!((&last["from"], &last["to"]), (&json!("a"), &json!("b")));
    assert_eq!(last["reason"], "AgentSilent");
    let took = last["durationMs"].as_u64().unwrap();
    assert!(
        (3_400..=3_500).contains(&took),
        "from the last sign of life: {took}"
    );
    let time = last["timeMs"].as_u64().unwrap();
    assert!(time > WALL && time <= world.time().wall_ms);
    assert_eq!(world.held_events(stranger).len(), 0);
    // The agent keeps the final figures in the container's record.
    assert_eq!(
        &world[second].sim().containers["u"].huly["lastFailover"],
        last
    );
    assert_eq!(world[second].sim().containers["u"].huly["failovers"], 1);
}

#[test]
fn what_nobody_holds_is_gone_with_its_agent() {
    let (mut world, first, second, client) = two(Rust);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.close(first);
    world.run(1_000);
    assert_eq!(world.home(client, "u"), None);
    assert!(world[second].sim().calls.is_empty());
}

#[test]
fn an_agent_that_unregisters_is_gone_at_once() {
    for side in [Rust, Plain] {
        let (mut world, first, _, client) = two(side);
        assert_eq!(
            world.ask(first, "au", json!({"uuid": "a"})),
            Ok(json!("ok"))
        );
        assert_eq!(world.home(client, "u").as_deref(), Some("b"));
        let held = world.held_events(client);
        assert_eq!(
            held[0]["placement"]["lastFailover"]["reason"],
            "AgentUnregistered"
        );
        assert_eq!(
            world.ask(first, "au", json!({"uuid": "a"})),
            Ok(json!("ok")),
            "again"
        );
        let error = world.ask(client, "au", json!({"uuid": "b"})).unwrap_err();
        assert_eq!(
            error["code"], "notAllowed",
            "only its own client speaks for an agent"
        );
    }
}

#[test]
fn an_orderly_end_moves_one_container_after_the_other() {
    let (mut world, first, _, client) = two(Rust);
    world.ask(first, "xg", json!({"uuid": "a"})).unwrap();
    let copy = world[first].sim().containers.remove("u").unwrap();
    let removed = |endpoint: &str, epoch: &serde_json::Value| {
        json!({"agents": [], "containers": [{"event": 2, "container": {
            "agentId": "a", "uuid": "u", "kind": "k", "endpoint": endpoint, "lastVisit": 0,
            "huly": {"epoch": epoch}}}]})
    };
    let old_life = removed(&copy.endpoint, &json!([1, 1]));
    world.ask(first, "cu", old_life).unwrap();
    assert_eq!(
        world.home(client, "u").as_deref(),
        Some("a"),
        "that was another life"
    );
    let ended = removed(&copy.endpoint, &copy.huly["epoch"]);
    world.ask(first, "cu", ended.clone()).unwrap();
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    let held = world.held_events(client);
    assert_eq!(
        held[0]["placement"]["lastFailover"]["reason"],
        "AgentDraining"
    );
    // Too late and of another: no harm.
    world.ask(first, "cu", ended.clone()).unwrap();
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    let error = world.ask(client, "cu", ended).unwrap_err();
    assert_eq!(error["code"], "notAllowed");
}

#[test]
fn a_container_that_ended_by_itself_is_placed_again() {
    let (mut world, first, _, client) = two(Rust);
    let flying = {
        world[first].sim().mute = vec!["cs"];
        world.request(client, "cs", json!(["u", "op", 1]))
    };
    world[first].sim().containers.clear();
    world.register(first);
    let error = world.answer(client, &flying).unwrap().unwrap_err();
    assert_eq!(error["code"], "outcomeUnknown");
    assert!(world.home(client, "u").is_some());
    let held = world.held_events(client);
    assert_eq!(
        held[0]["placement"]["lastFailover"]["reason"],
        "ContainerEnded"
    );
}

#[test]
fn a_frozen_agent_that_returns_ends_its_copy() {
    let (mut world, first, second, client) = two(Rust);
    world.freeze(first);
    world.run(4_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    world.thaw(first);
    world.run(500);
    let hellos = world[first]
        .got
        .iter()
        .filter(|got| got.op == huly_protocol::Op::AskHello);
    assert!(hellos.count() > 0, "its session is over");
    let before = world[first].uuid.clone();
    assert_ne!(world.connect(first), before);
    assert_eq!(world.register(first), ["u"]);
    assert!(world[first].sim().containers.is_empty());
    assert!(world[second].sim().containers.contains_key("u"));
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn the_higher_epoch_wins_whenever_it_registers() {
    for loser in [Rust, Plain] {
        let (mut world, first, _, client) = two(loser);
        let late = world.peer("late", Rust);
        world[late].agent = Some(crate::support::AgentSim::new("z", Rust, &["k"]));
        world.connect(late);
        world[late]
            .sim()
            .put("u", "k", json!({"epoch": [WALL + 1, 1], "failovers": 3}));
        assert_eq!(world.register(late), [] as [&str; 0]);
        assert_eq!(world.home(client, "u").as_deref(), Some("z"));
        assert!(
            world[first].sim().containers.is_empty(),
            "{loser:?} is told to end its copy"
        );
        let held = world.held_events(client);
        assert_eq!(held[0]["placement"]["failovers"], 3);
        let ran = world.ask(client, "cs", json!(["u", "op", 1])).unwrap();
        assert_eq!(ran["on"], "z");
    }
}

#[test]
fn between_records_without_epochs_the_first_wins() {
    let mut world = World::new();
    for (id, end) in [("a", vec![]), ("b", vec!["u"])] {
        let agent = world.peer(id, Plain);
        world[agent].agent = Some(crate::support::AgentSim::new(id, Plain, &["k"]));
        world.connect(agent);
        world[agent].sim().put("u", "k", json!({}));
        assert_eq!(world.register(agent), end);
    }
}

#[test]
fn a_record_without_an_epoch_loses_to_one_with_an_epoch() {
    for plain_first in [true, false] {
        let mut world = World::starting(config());
        let order = if plain_first {
            [Plain, Rust]
        } else {
            [Rust, Plain]
        };
        let peers = order.map(|side| {
            let id = format!("{side:?}");
            let peer = world.peer(&id, side);
            world[peer].agent = Some(crate::support::AgentSim::new(&id, side, &["k"]));
            world.connect(peer);
            let huly = match side {
                Rust => json!({"epoch": [WALL - 1, 1]}),
                Plain => json!({}),
            };
            world[peer].sim().put("u", "k", huly);
            world.register(peer);
            peer
        });
        let client = world.client("c", Rust);
        assert_eq!(world.home(client, "u").as_deref(), Some("Rust"));
        let lives = |peer: Peer| !world[peer].agent.as_ref().unwrap().containers.is_empty();
        assert_eq!(peers.map(lives), order.map(|side| side == Rust));
    }
}

#[test]
fn without_an_agent_it_waits_and_is_placed_when_one_registers() {
    let mut world = World::new();
    let only = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.close(only);
    world.run(1_000);
    assert_eq!(world.registry.snapshot().waiting["k"], 1);
    let held = world.held_events(client);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["event"], 2, "nothing replaces it now");
    let waits = world.request(client, "cs", json!(["u", "op", 1]));
    world.run(20_000);
    world.agent("b", Rust, &["k"]);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    assert!(world.answer(client, &waits).unwrap().is_ok());
    let held = world.held_events(client);
    assert_eq!(held[0]["event"], 1);
    assert_eq!(held[0]["placement"]["failovers"], 1);
    let took = &held[0]["placement"]["lastFailover"]["durationMs"];
    assert!(took.as_u64().unwrap() >= 20_000);
}

#[test]
fn a_second_loss_on_the_way_is_survived() {
    let (mut world, first, second, client) = two(Rust);
    world[second].sim().mute = vec!["gg"];
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    let third = world.agent("d", Rust, &["k"]);
    world.close(second);
    world.run(1_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("d"));
    assert_eq!(world[third].sim().called("gg").len(), 1);
}

#[test]
fn another_agent_is_not_touched() {
    let (mut world, first, second, client) = two(Rust);
    world.get(client, "k", json!({"uuid": "v"}));
    assert_eq!(world.home(client, "v").as_deref(), Some("b"));
    let calls = world[second].sim().calls.len();
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    let new: Vec<String> = world[second].sim().calls[calls..]
        .iter()
        .map(|call| format!("{} {}", call.method, text(&call.params[1]["uuid"])))
        .collect();
    assert_eq!(new[0], "gg u");
    assert!(new.iter().all(|call| !call.starts_with("ct")));
    let held = world.held_events(client);
    assert!(held.iter().all(|event| event["uuid"] == "u"), "{held:?}");
}

//! References that clients assert again at another server process (`xr`).

use serde_json::json;

use crate::restart::{assert_again, restarted};
use crate::support::{AgentSim, Plain, Rust, World, config, later, uuid_of};

#[test]
fn references_are_asserted_again_in_bulk() {
    let (mut world, agent, client) = restarted();
    let epoch = world[agent].sim().containers["u"].huly["epoch"].clone();
    world.connect(client);
    let answer = world.ask(client, "xr", assert_again("c", &epoch)).unwrap();
    assert_eq!(answer, json!([null]), "not known yet");
    world.run(500);
    world.reconnect(agent);
    let held = world.held_events(client);
    assert_eq!(held.len(), 1);
    assert_eq!(
        (&held[0]["event"], &held[0]["placement"]["agentId"]),
        (&json!(1), &json!("a"))
    );
    assert_eq!(held[0]["placement"]["epoch"], epoch, "it lives on");
    // Asserted when it is known: the answer has it.
    let other = world.client("d", Rust);
    let answer = world.ask(other, "xr", assert_again("d", &epoch)).unwrap();
    assert_eq!(uuid_of(&answer[0]), "u");
    assert_eq!(world.registry.snapshot().references["k"], 2);
    world.run(120_000);
    assert_eq!(world.home(other, "u").as_deref(), Some("a"), "it is held");
}

#[test]
fn an_asserted_container_that_its_agent_has_no_more_has_ended() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    world.run(20_000);
    let client = world.client("c", Rust);
    world
        .ask(client, "xr", assert_again("c", &json!([1, 7])))
        .unwrap();
    let last = world.held_events(client)[0]["placement"]["lastFailover"].clone();
    assert_eq!(last["reason"], "ContainerEnded");
}

#[test]
fn an_asserted_container_whose_agent_is_gone_fails_over() {
    let (mut world, agent, client) = restarted();
    let epoch = world[agent].sim().containers["u"].huly["epoch"].clone();
    let other = world.agent("b", Rust, &["k"]);
    world.connect(client);
    world.ask(client, "xr", assert_again("c", &epoch)).unwrap();
    world.run(1_400);
    assert!(world[other].sim().called("gg").is_empty());
    world.run(200);
    let held = world.held_events(client);
    let placement = &held[0]["placement"];
    assert_eq!(
        (&placement["agentId"], &placement["failovers"]),
        (&json!("b"), &json!(3))
    );
    assert_eq!(placement["lastFailover"]["from"], "a");
    assert!(
        placement["epoch"][0].as_u64() > epoch[0].as_u64(),
        "a later term"
    );
    // The agent of before comes late: its copy is older and goes.
    world.connect(agent);
    assert_eq!(world.register(agent), ["u"]);
}

#[test]
fn a_chosen_uuid_is_kept_when_it_is_asserted_again() {
    let mut world = World::starting(config());
    world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    let gets = json!({"gets": [{"uuid": "chosen", "kind": "k", "request": {}, "agentId": "gone"}]});
    world.ask(client, "xr", gets).unwrap();
    world.run(2_000);
    assert_eq!(world.home(client, "chosen").as_deref(), Some("a"));
    assert_eq!(world.held_events(client)[0]["uuid"], "chosen");
}

/// A held event follows also where somebody else's get places it first.
#[test]
fn who_asserts_one_that_is_starting_is_told_when_it_lives() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let (one, two) = (world.client("c", Rust), world.client("d", Rust));
    world[agent].sim().mute = vec!["gg"];
    let id = world.request(one, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let gets = json!({"gets": [{"uuid": "u", "kind": "k"}]});
    assert_eq!(world.ask(two, "xr", gets), Ok(json!([null])));
    let call = world[agent].sim().called("gg")[0].clone();
    world.answer_call(agent, &call);
    assert!(world.answer(one, &id).unwrap().is_ok());
    assert_eq!(world.held_events(one).len(), 0, "the answer tells it");
    assert_eq!(world.held_events(two).len(), 1);
}

/// What is not known yet is kept until agents register, and that is bounded: a client that is told
/// `busy` asserts again a little later.
#[test]
fn references_are_asserted_as_far_as_there_is_room() {
    let mut world = World::starting(huly_registry::Config {
        hold_bytes: 1_000,
        ..config()
    });
    let client = world.client("c", Rust);
    let gets = |uuids: &[&str]| {
        let get = |uuid: &&str| json!({"uuid": uuid, "kind": "k", "request": {"uuid": uuid}});
        json!({"gets": uuids.iter().map(get).collect::<Vec<_>>()})
    };
    assert!(world.ask(client, "xr", gets(&["u0", "u1", "u2"])).is_ok());
    let full = world.ask(client, "xr", gets(&["u3", "u4"])).unwrap_err();
    assert_eq!(full["code"], "busy");
    assert_eq!(
        world.registry.snapshot().references.values().sum::<usize>(),
        3
    );
    // What is known takes no more.
    assert!(world.ask(client, "xr", gets(&["u0", "u1"])).is_ok());
    let agent = world.peer("client-of-a", Rust);
    let mut sim = AgentSim::new("a", Rust, &["k"]);
    for uuid in ["u0", "u1", "u2"] {
        sim.put(uuid, "k", json!({"epoch": [1, 1]}));
    }
    world[agent].agent = Some(sim);
    world.connect(agent);
    world.register(agent);
    assert!(world.ask(client, "xr", gets(&["u3", "u4"])).is_ok());
}

/// It was told in a session that is over where the container was, and not that it is there no more.
#[test]
fn who_asserts_what_has_no_place_is_told_so() {
    let mut world = World::new();
    world.run(20_000);
    let client = world.client("c", Rust);
    world
        .ask(client, "xr", assert_again("c", &json!([1, 7])))
        .unwrap();
    assert_eq!(
        world.held_events(client),
        [json!({"uuid": "u", "event": 2})]
    );
    // Whoever knows no place of it is told nothing.
    let other = world.client("d", Rust);
    let gets = json!({"gets": [{"uuid": "u", "kind": "k"}]});
    assert_eq!(world.ask(other, "xr", gets), Ok(json!([null])));
    assert!(world.held_events(other).is_empty());
    world.agent("a", Rust, &["k"]);
    world.run(1_000);
    for peer in [client, other] {
        let told = world.held_events(peer);
        assert_eq!(told.last().unwrap()["event"], 1, "{told:?}");
    }
}

#[test]
fn who_asserts_it_to_a_server_that_settles_is_told_after_that() {
    let mut world = World::starting(config());
    let client = world.client("c", Rust);
    world
        .ask(client, "xr", assert_again("c", &json!([1, 7])))
        .unwrap();
    assert!(world.held_events(client).is_empty());
    world.run(2_000);
    assert_eq!(
        world.held_events(client),
        [json!({"uuid": "u", "event": 2})]
    );
}

/// Its agent had brought it, and was lost again before.
#[test]
fn who_asserts_what_was_lost_while_the_server_settles_is_told_so() {
    let (mut world, agent, client) = restarted();
    let epoch = world[agent].sim().containers["u"].huly["epoch"].clone();
    let other = world.client("d", Rust);
    world.ask(other, "xr", assert_again("d", &epoch)).unwrap();
    world.reconnect(agent);
    world.close(agent);
    world.run(1_000);
    world.connect(client);
    world.ask(client, "xr", assert_again("c", &epoch)).unwrap();
    world.run(1_000);
    assert_eq!(
        world.held_events(client),
        [json!({"uuid": "u", "event": 2})]
    );
}

/// Somebody else asked for it first, and it may not be placed before leases of before are over.
#[test]
fn who_asserts_what_waits_for_a_lease_is_told_when_that_is_over() {
    let mut world = World::starting(later());
    world.specify(json!({"kind": "k", "revision": 1, "exclusive": true}));
    let other = world.client("d", Rust);
    let get = world.request(other, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let client = world.client("c", Rust);
    world
        .ask(client, "xr", assert_again("c", &json!([1, 7])))
        .unwrap();
    world.run(3_700);
    assert!(world.held_events(client).is_empty());
    world.run(100);
    assert!(world.answer(other, &get).unwrap().is_err());
    assert_eq!(
        world.held_events(client),
        [json!({"uuid": "u", "event": 2})]
    );
    assert!(world.held_events(other).is_empty());
}

/// It was not told at once, for it was about to start elsewhere.
#[test]
fn who_asserts_what_does_not_start_elsewhere_is_told_so() {
    for refuses in [true, false] {
        let mut world = World::new();
        world.run(20_000);
        let agent = world.agent("b", Rust, &["k"]);
        match refuses {
            true => world[agent].sim().refuses = Some("disk full".into()),
            false => world[agent].sim().mute.push("gg"),
        }
        let client = world.client("c", Rust);
        world
            .ask(client, "xr", assert_again("c", &json!([1, 7])))
            .unwrap();
        if !refuses {
            assert!(world.held_events(client).is_empty());
            world.close(agent);
        }
        world.run(5_000);
        assert_eq!(
            world.held_events(client),
            [json!({"uuid": "u", "event": 2})],
            "refuses: {refuses}, and it is told once"
        );
        world.agent("c", Rust, &["k"]);
        world.run(10_000);
        let told = world.held_events(client);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["placement"]["agentId"], "c");
    }
}

/// It knows of no place any more: what it was told is over with the reference.
#[test]
fn who_has_let_it_go_and_gets_it_again_is_told_nothing() {
    let mut world = World::new();
    world.run(20_000);
    let agent = world.agent("b", Rust, &["k"]);
    world[agent].sim().mute.push("gg");
    let client = world.client("c", Rust);
    world
        .ask(client, "xr", assert_again("c", &json!([1, 7])))
        .unwrap();
    let other = world.client("d", Rust);
    world
        .ask(other, "xr", assert_again("d", &json!([1, 7])))
        .unwrap();
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert_eq!(world.registry.sizes().believers, 1);
    world.close(agent);
    world.run(5_000);
    assert!(world.answer(client, &get).unwrap().is_err());
    assert!(world.held_events(client).is_empty());
    assert_eq!(world.held_events(other), [json!({"uuid": "u", "event": 2})]);
}

//! What TypeScript clients are told of containers that they may have known before (W11, W25).

use serde_json::{Value, json};

use crate::support::{Peer, Plain, Rust, World, uuid_of};

#[test]
fn what_registers_again_unchanged_while_settling_is_no_news() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let plain = world.client("p", Plain);
    for uuid in ["held", "other"] {
        world.get(plain, "k", json!({"uuid": uuid}));
    }
    world.restart_server();
    world.connect(plain);
    world.events(plain);
    world.reconnect(agent);
    world.run(2_000);
    assert_eq!(containers(&mut world, plain), [] as [Value; 0]);
}

/// What TypeScript clients were told of containers.
fn containers(world: &mut World, plain: Peer) -> Vec<Value> {
    let events = world.events(plain);
    let told = events
        .iter()
        .map(|event| event["containers"].as_array().unwrap());
    told.flatten().cloned().collect()
}

/// It takes the place of a container from `updated` alone, and that one may have been lost (W25).
#[test]
fn a_typescript_client_that_gets_again_is_told_where_it_is() {
    let mut world = World::new();
    let first = world.agent("a", Plain, &["k"]);
    let plain = world.client("p", Plain);
    let watcher = world.client("w", Plain);
    let made = world.get(plain, "k", json!({}));
    world.run(200);
    let told = containers(&mut world, plain);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["container"]["uuid"], made);
    assert_eq!(told[0]["event"], 0, "of a new one its answer says where");
    world.get(plain, "k", json!({"uuid": "u"}));
    world.run(200);
    let told = containers(&mut world, plain);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["event"], 1, "it may know an earlier place");
    world.agent("b", Plain, &["k"]);
    world.close(plain);
    world.close(first);
    world.run(1_500);
    world.events(watcher);
    world.connect(plain);
    world.events(plain);
    world.get(plain, "k", json!({"uuid": "u"}));
    world.run(200);
    let told = containers(&mut world, plain);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["event"], 1);
    assert_eq!(told[0]["container"]["agentId"], "b");
    assert_eq!(containers(&mut world, watcher), [] as [Value; 0]);
}

/// The server knows of no earlier place, but who asks while it settles may.
#[test]
fn what_is_placed_anew_after_a_restart_is_updated_to_who_got_it_while_settling() {
    let mut world = World::new();
    world.agent("a", Plain, &["k"]);
    let second = world.agent("b", Plain, &["k"]);
    let plain = world.client("p", Plain);
    world.get(plain, "k", json!({"uuid": "u"}));
    world.restart_server();
    world.connect(plain);
    let params = json!({"kind": "k", "request": {"uuid": "u"}});
    let get = world.request(plain, "gg", params);
    world.reconnect(second);
    world.events(plain);
    world.run(4_000);
    assert!(world.answer(plain, &get).unwrap().is_ok());
    let told = containers(&mut world, plain);
    assert_eq!(told.len(), 1, "in the stead of added");
    assert_eq!(told[0]["event"], 1);
    assert_eq!(told[0]["container"]["agentId"], "b");
}

/// Added and updated stay added (W11), but a client takes the place from `updated` alone (W25).
#[test]
fn what_moves_before_it_is_told_of_is_updated_to_its_holders() {
    let mut world = World::new();
    let first = world.agent("a", Plain, &["k"]);
    let plain = world.client("p", Plain);
    let watcher = world.client("w", Plain);
    world.run(200);
    // One event at once, so that what follows is collected.
    world.register(first);
    world.agent("b", Plain, &["other", "k"]);
    world.get(plain, "k", json!({"uuid": "u"}));
    for peer in [plain, watcher] {
        world.events(peer);
    }
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    world.run(200);
    for (peer, event) in [(plain, 1), (watcher, 0)] {
        let told = containers(&mut world, peer);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["event"], event);
        assert_eq!(told[0]["container"]["agentId"], "b");
    }
}

/// A get whose answer was lost is not failed when it comes again while the container has no agent:
/// its client would hold what it does not know of.
#[test]
fn an_answer_that_was_lost_is_repeated_while_the_container_is_nowhere() {
    for side in [Rust, Plain] {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let client = world.client("c", side);
        let get = json!({"kind": "k", "request": {"uuid": "u"}});
        world.request_as(client, "r", "gg", get.clone());
        assert_eq!(world.answers(client, "r").len(), 1);
        world.close(agent);
        world.run(2_000);
        world.reconnect(client);
        world.request_as(client, "r", "gg", get);
        let answers = world.answers(client, "r");
        let again = answers.last().unwrap().as_ref().unwrap();
        assert_eq!(uuid_of(again), "u");
        assert_eq!(world.registry.snapshot().references["k"], 1);
        world.agent("b", Rust, &["k"]);
        world.run(1_000);
        assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    }
}

/// A TypeScript client has got `u` again on agent `a`, and was not told yet that it had just ended.
fn got_again() -> (World, Peer, Peer) {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let plain = world.client("p", Plain);
    world.get(plain, "k", json!({"uuid": "u"}));
    world.ask(plain, "cr", json!({"uuid": "u"})).unwrap();
    world.run(4_980);
    // So that the next event waits for others.
    world.get(plain, "k", json!({"uuid": "other"}));
    for _ in 0..200 {
        if world.home(plain, "u").is_some() {
            world.run(1);
        }
    }
    assert_eq!(world.home(plain, "u"), None);
    world.events(plain);
    world.get(plain, "k", json!({"uuid": "u"}));
    (world, agent, plain)
}

/// The end of the life before is told after the answer to the get.
#[test]
fn who_gets_again_what_has_just_ended_knows_where_it_is() {
    let (mut world, _, plain) = got_again();
    world.run(500);
    let told = containers(&mut world, plain);
    let of_it = told.iter().filter(|told| told["container"]["uuid"] == "u");
    let events: Vec<&Value> = of_it.map(|told| &told["event"]).collect();
    // Removed, updated; and added, which says no client where it is.
    assert_eq!(events, [2, 1, 0], "{told:?}");
}

/// Also where it has moved before that was told.
#[test]
fn who_gets_again_what_has_just_ended_and_moves_knows_where_it_is() {
    let (mut world, first, plain) = got_again();
    world.agent("b", Rust, &["k"]);
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(world.home(plain, "u").as_deref(), Some("b"));
    world.run(500);
    let told = containers(&mut world, plain);
    let of_it = |told: &&Value| told["container"]["uuid"] == "u" && told["event"] == 1;
    let last = told.iter().rfind(of_it).unwrap();
    assert_eq!(last["container"]["agentId"], "b", "{told:?}");
}

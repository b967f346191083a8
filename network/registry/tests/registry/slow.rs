//! Peers that do not read, and what is admitted towards agents.

use huly_protocol::Op;
use huly_registry::{Config, Input};
use serde_json::json;

use crate::support::{Peer, Plain, Rust, Side, World, config};

/// An agent that answers no request and has the containers `u` and `v`, and who holds them.
fn silent(config: Config) -> (World, Peer, Peer) {
    let mut world = World::starting(config);
    world.run(1_600);
    let agent = world.agent("a", Rust, &["k"]);
    let holder = world.client("holder", Rust);
    for uuid in ["u", "v"] {
        world.get(holder, "k", json!({"uuid": uuid}));
    }
    world[agent].sim().mute = vec!["cs"];
    (world, agent, holder)
}

fn asks(world: &mut World, peer: Peer, uuid: &str, bytes: usize) -> String {
    world.request(peer, "cs", json!([uuid, "op", "x".repeat(bytes)]))
}

/// Whether a request was refused as it is to be of such a peer, and may be sent again as it is.
fn refused(world: &World, peer: Peer, side: Side, id: &str) -> bool {
    let refusals = world[peer].got.iter().filter(|got| match side {
        Rust => got.op == Op::ResponseError && got.payload_text().contains(r#""code":"busy""#),
        Plain => got.op == Op::Retry && &got.payload[..] == b"1",
    });
    refusals.filter(|got| got.id == id).count() == 1
}

fn calls(world: &mut World, agent: Peer) -> usize {
    world[agent].sim().called("cs").len()
}

fn tell_slow(world: &mut World, peer: Peer, slow: bool) {
    let conn = world[peer].conn.clone().unwrap();
    world.input(Input::Slow { conn, slow });
}

#[test]
fn a_sender_has_a_budget_of_bytes() {
    for side in [Rust, Plain] {
        let mut config = config();
        config.sender_bytes = 10_000;
        let (mut world, agent, _) = silent(config);
        let (one, two) = (world.client("one", side), world.client("two", side));
        // The first may be of any size, and what comes beside it is too much, to whomever it goes.
        asks(&mut world, one, "u", 20_000);
        let second = asks(&mut world, one, "v", 1);
        assert!(refused(&world, one, side, &second));
        // Others are not concerned.
        asks(&mut world, two, "u", 4_000);
        asks(&mut world, two, "v", 4_000);
        let third = asks(&mut world, two, "v", 4_000);
        assert!(refused(&world, two, side, &third));
        assert_eq!(calls(&mut world, agent), 3);
        // An answer makes room, and the same request is taken.
        let call = world[agent].sim().called("cs").remove(0);
        world.answer_call(agent, &call);
        let again = json!(["v", "op", "x"]);
        world.request_as(one, &second, "cs", again);
        assert_eq!(calls(&mut world, agent), 4);
    }
}

#[test]
fn a_container_has_a_budget_of_bytes_over_all_senders() {
    let mut config = config();
    config.container_bytes = 10_000;
    let (mut world, agent, holder) = silent(config);
    let other = world.client("other", Plain);
    asks(&mut world, holder, "u", 8_000);
    let refusal = asks(&mut world, other, "u", 8_000);
    assert!(refused(&world, other, Plain, &refusal));
    asks(&mut world, other, "v", 8_000);
    assert_eq!(calls(&mut world, agent), 2);
}

#[test]
fn all_requests_at_agents_are_bounded_in_bytes() {
    let mut config = config();
    config.call_bytes = 10_000;
    let (mut world, agent, holder) = silent(config);
    let other = world.client("other", Rust);
    asks(&mut world, holder, "u", 8_000);
    let refusal = asks(&mut world, other, "v", 8_000);
    assert!(refused(&world, other, Rust, &refusal));
    // The end of a client frees what it had asked.
    world.say(holder, Op::Close, "", "");
    asks(&mut world, other, "v", 8_000);
    assert_eq!(calls(&mut world, agent), 2);
}

#[test]
fn an_agent_that_reads_slowly_is_handed_no_requests_but_what_is_the_servers_own() {
    for side in [Rust, Plain] {
        let (mut world, agent, holder) = silent(config());
        let client = world.client("c", side);
        tell_slow(&mut world, agent, true);
        let id = asks(&mut world, client, "u", 1);
        assert!(refused(&world, client, side, &id));
        assert_eq!(calls(&mut world, agent), 0);
        // Starts and ends have no such bound.
        let got = world.get(client, "k", json!({"uuid": "new"}));
        assert_eq!(got, "new");
        assert!(world.ask(holder, "cr", json!({"uuid": "v"})).is_ok());
        world.run(6_000);
        assert_eq!(world[agent].sim().called("ct").len(), 1);
        tell_slow(&mut world, agent, false);
        world.request_as(client, &id, "cs", json!(["u", "op", 1]));
        assert_eq!(calls(&mut world, agent), 1);
    }
}

#[test]
fn over_a_new_connection_an_agent_is_not_slow() {
    let (mut world, agent, holder) = silent(config());
    tell_slow(&mut world, agent, true);
    world.close(agent);
    world.reconnect(agent);
    asks(&mut world, holder, "u", 1);
    assert_eq!(calls(&mut world, agent), 1);
}

#[test]
fn an_agent_that_was_cut_is_handed_requests_after_its_next_hello() {
    let (mut world, agent, holder) = silent(config());
    world.cut(agent);
    let id = asks(&mut world, holder, "u", 1);
    assert!(refused(&world, holder, Rust, &id));
    assert_eq!(world.registry.snapshot().calls, 0);
    world.connect(agent);
    asks(&mut world, holder, "u", 1);
    assert_eq!(calls(&mut world, agent), 1);
}

#[test]
fn over_a_connection_that_was_cut_a_client_lives_and_is_asked_for_a_hello() {
    for side in [Rust, Plain] {
        let mut world = World::new();
        world.agent("a", Rust, &["k"]);
        let client = world.client("c", side);
        world.get(client, "k", json!({"uuid": "u"}));
        let before = world[client].uuid.clone();
        let conn = world[client].conn.clone().unwrap();
        world.input(Input::Cut { conn: conn.clone() });
        // Longer than its alive timeout: its pings are heard, and answered like a stranger's.
        world.run(10_000);
        let got = &world[client].got;
        assert!(got.iter().any(|got| got.op == Op::AskHello));
        let id = world.request(client, "cs", json!(["u", "op", 1]));
        let retry = world[client].got.last().unwrap();
        assert_eq!((retry.op, &retry.id), (Op::Retry, &id));
        // It says hello over the same connection: its references are there, its uuid is new.
        let hello = world[client].hello();
        world.say(client, Op::Hello, "c", hello.to_string());
        let hello = world[client].got.iter().rfind(|got| got.op == Op::Hello);
        assert_ne!(hello.unwrap().id, before);
        assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
        assert_eq!(references(&world), 1);
        assert_eq!(world.registry.snapshot().counted.cuts, 1);
        // What becomes of that connection later is the session's end again.
        world.say(client, Op::Close, "", "");
        assert_eq!(references(&world), 0);
    }
}

#[test]
fn an_answer_over_a_connection_that_was_cut_counts() {
    let (mut world, agent, holder) = silent(config());
    let id = asks(&mut world, holder, "u", 1);
    world.cut(agent);
    let call = world[agent].sim().called("cs").remove(0);
    world.answer_call(agent, &call);
    assert!(world.answer(holder, &id).unwrap().is_ok());
}

#[test]
fn a_connection_that_was_cut_and_then_closes_says_nothing() {
    let (mut world, agent, _) = silent(config());
    world.cut(agent);
    world.close(agent);
    assert_eq!(world.registry.snapshot().agents.get("Suspected"), None);
    // Silence does, and leaves nothing.
    world.run(3_100);
    let lost = world.registry.snapshot().counted.agents_lost;
    assert_eq!(lost.get("AgentSilent"), Some(&1));
}

#[test]
fn a_connection_that_the_kernel_gave_up_is_no_death() {
    let mut world = World::new();
    let agent = world.peer("client-of-a", Rust);
    world[agent].alive_timeout = Some(60.0);
    world.connect(agent);
    world[agent].agent = Some(crate::support::AgentSim::new("a", Rust, &["k"]));
    world.register(agent);
    world.freeze(agent);
    world.run(12_000);
    world.close(agent);
    world.run(5_000);
    assert_eq!(world.registry.snapshot().counted.agents_lost.len(), 0);
    world.run(60_000);
    let lost = world.registry.snapshot().counted.agents_lost;
    assert_eq!(lost.get("AgentSilent"), Some(&1));
}

fn references(world: &World) -> usize {
    world.registry.snapshot().references.values().sum()
}

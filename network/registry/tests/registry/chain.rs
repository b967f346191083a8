//! Which containers wait for a request goes with it, whatever it waits for.

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{AgentSim, Plain, Rust, World, config};

fn chain() -> Value {
    json!([["x", 7], ["y", 8]])
}

#[test]
fn rust_agents_are_told_also_when_they_are_told_again() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    let ext = json!({"chain": chain(), "timeoutMs": 9_000});
    world.request(client, "cs", json!(["u", "op", 1, ext]));
    world.close(agent);
    world.connect(agent);
    let told = world[agent].sim().called("cs");
    let told: Vec<_> = told.iter().map(|call| call.ext["chain"].clone()).collect();
    assert_eq!(told, [chain(), chain()]);
    // Who has none says nothing.
    world.request(client, "cs", json!(["u", "op", 1]));
    let plain = world[agent].sim().called("cs").pop().unwrap();
    assert!(plain.ext.get("chain").is_none());
}

#[test]
fn what_waits_for_its_container_keeps_it() {
    let mut world = World::starting(config());
    let client = world.client("c", Rust);
    let ext = json!({"chain": chain()});
    world.request(client, "cs", json!(["u", "op", 1, ext]));
    let peer = world.peer("client-of-a", Rust);
    let mut agent = AgentSim::new("a", Rust, &["k"]);
    agent.put("u", "k", json!({"epoch": [1, 1]}));
    agent.mute = vec!["cs"];
    world[peer].agent = Some(agent);
    world.connect(peer);
    world.register(peer);
    let told = world[peer].sim().called("cs").pop().unwrap();
    assert_eq!(told.ext["chain"], chain());
}

#[test]
fn what_a_leaving_agent_refuses_takes_it_to_the_next() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world[first].sim().mute = vec!["cs"];
    world[second].sim().mute = vec!["cs"];
    world[first].sim().draining = true;
    world.register(first);
    let ext = json!({"chain": chain()});
    world.request(client, "cs", json!(["u", "op", 1, ext]));
    let asked = world[first].sim().called("cs").pop().unwrap();
    let error = json!({"message": "it ends", "stack": "", "code": "interrupted"});
    world.say(first, Op::ResponseError, &asked.id, error.to_string());
    world.close(first);
    world.run(2_000);
    let told = world[second].sim().called("cs").pop().unwrap();
    assert_eq!(told.ext["chain"], chain());
}

#[test]
fn typescript_agents_are_told_no_extension() {
    let mut world = World::new();
    let agent = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let ext = json!({"chain": chain()});
    world.request(client, "cs", json!(["u", "op", 1, ext]));
    let text = world[agent].got.last().unwrap().payload_text();
    assert!(!text.contains("chain"), "{text}");
}

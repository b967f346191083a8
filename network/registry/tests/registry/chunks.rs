//! Registrations in chunks: what happens between them is known better than what they say.

use serde_json::{Value, json};

use crate::support::{Peer, Rust, World};

fn chunk(world: &mut World, agent: Peer, records: Value, chunk: Value) -> Value {
    let mut params = world[agent].sim().registration();
    params["containers"] = records;
    params["huly"]["chunk"] = chunk;
    world.ask(agent, "ar", params).unwrap()
}

#[test]
fn what_starts_between_two_chunks_of_a_registration_stays() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "old"}));
    world.agent("b", Rust, &[]);
    let records = world[agent].sim().registration()["containers"].clone();
    chunk(&mut world, agent, records, json!([0, false]));
    world.get(client, "k", json!({"uuid": "young"}));
    assert_eq!(world.home(client, "young").as_deref(), Some("a"));
    let starts = world[agent].sim().called("gg").len();
    chunk(&mut world, agent, json!([]), json!([1, true]));
    assert_eq!(
        world[agent].sim().called("gg").len(),
        starts,
        "it is started again"
    );
}

#[test]
fn what_starts_between_two_chunks_has_one_copy() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "old"}));
    let records = world[agent].sim().registration()["containers"].clone();
    chunk(&mut world, agent, records, json!([0, false]));
    world.get(client, "k", json!({"uuid": "young"}));
    let other = world.agent("b", Rust, &["k"]);
    chunk(&mut world, agent, json!([]), json!([1, true]));
    world.run(120_000);
    let copies = [agent, other]
        .into_iter()
        .filter(|peer| world.peers[peer.0].sim().containers.contains_key("young"))
        .count();
    assert_eq!(copies, 1);
}

#[test]
fn what_ends_between_two_chunks_of_a_registration_is_gone() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let records = world[agent].sim().registration()["containers"].clone();
    chunk(&mut world, agent, records.clone(), json!([0, false]));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    // It ends by itself; nobody holds it.
    world[agent].sim().containers.clear();
    let ended = json!({"agents": [], "containers": [{"container": records[0], "event": 2}]});
    world.ask(agent, "cu", ended).unwrap();
    assert_eq!(world.home(client, "u"), None);
    chunk(&mut world, agent, json!([]), json!([1, true]));
    world.get(client, "k", json!({"uuid": "u"}));
    let answer = world.ask(client, "cs", json!(["u", "op", 1]));
    assert!(answer.is_ok(), "{answer:?}");
}

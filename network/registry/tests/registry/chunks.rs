//! Registrations in chunks: what happens between them is known better than what they say.

use serde_json::{Value, json};

use crate::events::View;
use crate::support::{Peer, Rust, World, config};

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
fn figures_of_a_failover_that_ends_between_two_chunks_stay() {
    let mut world = World::new();
    let lost = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let agent = world.agent("b", Rust, &["k"]);
    let watcher = world.client("w", Rust);
    let mut view = View::subscribe(&mut world, watcher);
    world[agent].sim().mute = vec!["gg"];
    world.close(lost);
    world.run(1_000);
    let start = world[agent].sim().called("gg")[0].clone();
    world[agent].sim().act(&start).unwrap();
    let records = world[agent].sim().registration()["containers"].clone();
    chunk(&mut world, agent, records, json!([0, false]));
    world.run(100);
    world.answer_call(agent, &start);
    view.catch_up(&mut world, watcher);
    chunk(&mut world, agent, json!([]), json!([1, true]));
    view.catch_up(&mut world, watcher);
    let told = view.containers["u"]["huly"]["lastFailover"].clone();
    assert!(told["durationMs"].as_u64() >= Some(1_100), "{told}");
    let last = |record: &Value| record["huly"]["lastFailover"].clone();
    assert_eq!(last(&world.ask(watcher, "cl", json!({})).unwrap()[0]), told);
    let again = View::subscribe(&mut world, watcher);
    assert_eq!(last(&again.containers["u"]), told);
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

#[test]
fn a_registration_of_which_a_chunk_does_not_come_is_forgotten() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let record = |uuid: &str| json!({"agentId": "a", "uuid": uuid, "kind": "k", "endpoint": "", "lastVisit": 0});
    chunk(&mut world, agent, json!([record("one")]), json!([0, false]));
    // Each chunk has its own time.
    world.run(20_000);
    chunk(&mut world, agent, json!([record("two")]), json!([1, false]));
    world.run(20_000);
    assert_eq!(world.registry.snapshot().chunked, 2);
    world.run(11_000);
    assert_eq!(world.registry.snapshot().chunked, 0);
    let mut params = world[agent].sim().registration();
    params["huly"]["chunk"] = json!([2, true]);
    let error = world.ask(agent, "ar", params).unwrap_err();
    assert_eq!(error["code"], "badRequest");
    assert!(chunk(&mut world, agent, json!([]), json!([0, true])).is_array());
}

#[test]
fn a_registration_in_chunks_is_bounded_in_bytes() {
    let mut config = config();
    config.registration_bytes = 4_000;
    let mut world = World::starting(config);
    let agent = world.agent("a", Rust, &["k"]);
    let big = "x".repeat(1_000);
    let record = |uuid: &str| json!({"agentId": "a", "uuid": uuid, "kind": "k", "endpoint": "", "lastVisit": 0, "extra": {"x": big}});
    for n in 0..3 {
        chunk(
            &mut world,
            agent,
            json!([record(&format!("u{n}"))]),
            json!([n, false]),
        );
    }
    let mut params = world[agent].sim().registration();
    params["containers"] = json!([record("u3")]);
    params["huly"]["chunk"] = json!([3, false]);
    let error = world.ask(agent, "ar", params).unwrap_err();
    assert_eq!(error["code"], "exhausted");
    assert_eq!(
        world.registry.snapshot().chunked,
        0,
        "nothing is kept of it"
    );
}

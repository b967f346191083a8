//! Gets of TypeScript clients for what they hold already: they get again with the original request,
//! so without a uuid if they had asked without (W21).

use serde_json::json;

use crate::support::{Peer, Plain, Rust, World};

/// What a client does until it is given the container that it was given last: one that came in the
/// place of another is got again in its turn.
fn get_until_it_stays(world: &mut World, client: Peer, held: &str) -> Vec<String> {
    let mut given = vec![held.to_owned()];
    while given.len() < 20 {
        let uuid = world.get(client, "k", json!({}));
        let stays = given.last() == Some(&uuid);
        given.push(uuid);
        if stays {
            break;
        }
    }
    given
}

#[test]
fn who_joined_a_container_is_given_it_again() {
    let mut world = World::new();
    for agent in ["a", "b", "c"] {
        world.agent(agent, Rust, &["k"]);
    }
    let maker = world.client("maker", Plain);
    let made: Vec<String> = (0..3).map(|_| world.get(maker, "k", json!({}))).collect();
    let joiner = world.client("joiner", Plain);
    let joined: Vec<String> = (0..2).map(|_| world.get(joiner, "k", json!({}))).collect();
    assert!(joined.iter().all(|uuid| made.contains(uuid)));
    for client in [joiner, maker] {
        world.reconnect(client);
    }
    let again: Vec<String> = (0..2).map(|_| world.get(joiner, "k", json!({}))).collect();
    let (mut joined, mut again) = (joined, again);
    joined.sort();
    again.sort();
    assert_eq!(again, joined, "each once");
    assert_eq!(world.registry.snapshot().references["k"], 5);
}

#[test]
fn what_was_let_go_is_not_given_again() {
    let mut world = World::new();
    for agent in ["a", "b"] {
        world.agent(agent, Rust, &["k"]);
    }
    let maker = world.client("maker", Plain);
    for _ in 0..2 {
        world.get(maker, "k", json!({}));
    }
    let joiner = world.client("joiner", Plain);
    let one = world.get(joiner, "k", json!({}));
    let other = world.get(joiner, "k", json!({}));
    assert_ne!(one, other);
    world.ask(joiner, "cr", json!({"uuid": one})).unwrap();
    world.reconnect(joiner);
    assert_eq!(world.get(joiner, "k", json!({})), other);
}

/// A client that is given another container than it held gets that one again as well: with one of
/// each agent in turn it would never come to an end.
#[test]
fn a_client_that_a_new_server_does_not_know_comes_to_an_end() {
    let mut world = World::new();
    let agents = ["a", "b", "c"].map(|agent| world.agent(agent, Rust, &["k"]));
    let maker = world.client("maker", Plain);
    for _ in 0..3 {
        world.get(maker, "k", json!({}));
    }
    let joiner = world.client("joiner", Plain);
    let held = world.get(joiner, "k", json!({}));
    world.restart_server();
    for agent in agents {
        world.reconnect(agent);
    }
    world.run(2_000);
    world.connect(maker);
    world.connect(joiner);
    let given = get_until_it_stays(&mut world, joiner, &held);
    assert!(given.len() <= 6, "{given:?}");
    let starts: usize = agents
        .iter()
        .map(|agent| world[*agent].sim().called("gg").len())
        .sum();
    assert_eq!(starts, 3, "nothing new was started");
}

/// The first of what it gets again it sends twice, the second time after what was pending: a release
/// of it may be in between.
#[test]
fn what_was_answered_over_a_connection_and_comes_again_over_it_is_not_done_again() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    let get = json!({"kind": "k", "request": {"uuid": "u"}});
    let release = json!({"uuid": "u"});
    world.request_as(client, "get", "gg", get.clone());
    world.request_as(client, "release", "cr", release.clone());
    world.request_as(client, "get", "gg", get.clone());
    assert_eq!(world.registry.snapshot().references["k"], 0);
    // What was refused for now it sends again later, answered or not.
    world.request_as(client, "again", "gg", get.clone());
    world.request_as(client, "release", "cr", release);
    assert_eq!(world.registry.snapshot().references["k"], 1);
    for (method, params) in [("cs", json!(["u", "op", 1])), ("cs", json!(["u"]))] {
        world.request_as(client, "request", method, params);
    }
    assert_eq!(world[agent].sim().called("cs").len(), 1);
    for id in ["get", "release", "again", "request"] {
        assert_eq!(world.answers(client, id).len(), 1, "{id}");
    }
    // Over another connection it is not known whether the answer arrived.
    world.reconnect(client);
    world.request_as(client, "again", "gg", get);
    assert_eq!(world.answers(client, "again").len(), 2);
}

/// It takes that from `updated` alone (W25), and knows the container's former life, of which the
/// server knows nothing any more.
#[test]
fn who_gets_again_by_uuid_what_ended_meanwhile_is_told_where_it_is() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Plain);
    world.get(client, "k", json!({"uuid": "u"}));
    let former = world[agent].sim().containers["u"].endpoint.clone();
    world.freeze(client);
    world.run(20_000);
    assert!(world[agent].sim().containers.is_empty(), "nobody held it");
    world.thaw(client);
    world.reconnect(client);
    world.events(client);
    world.get(client, "k", json!({"uuid": "u"}));
    world.run(200);
    let endpoint = world[agent].sim().containers["u"].endpoint.clone();
    assert_ne!(endpoint, former);
    let events = world.events(client);
    let containers = events
        .iter()
        .flat_map(|event| event["containers"].as_array());
    let told: Vec<_> = containers
        .flatten()
        .map(|told| (&told["event"], &told["container"]["endpoint"]))
        .collect();
    assert_eq!(told, [(&json!(1), &json!(endpoint))]);
}

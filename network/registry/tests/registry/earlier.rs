//! An earlier life of a container comes back when a later one has been: it is ended.

use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Rust, World};

/// Agents `a` and `b`, a client that holds `u` on `a`; of an exclusive kind, or not.
fn two(exclusive: bool) -> (World, Peer, Peer, Peer) {
    let mut world = World::new();
    let spec = json!({"kind": "k", "revision": 1, "exclusive": exclusive});
    world.specify(spec);
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    (world, first, second, client)
}

/// The same once `a` is frozen and given up, so that the container is at `b`, with the epochs of both
/// lives.
fn moved(exclusive: bool) -> (World, [Peer; 3], [Value; 2]) {
    let (mut world, first, second, client) = two(exclusive);
    let earlier = epoch(&mut world, first);
    world.freeze(first);
    world.run(3_200);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    let later = epoch(&mut world, second);
    assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
    world.events(client);
    (world, [first, second, client], [earlier, later])
}

fn epoch(world: &mut World, agent: Peer) -> Value {
    epoch_of(world, agent, "u")
}

fn epoch_of(world: &mut World, agent: Peer, uuid: &str) -> Value {
    world[agent].sim().containers[uuid].huly["epoch"].clone()
}

/// The frozen agent goes on, and finds that its session is over.
fn thaws(world: &mut World, agent: Peer) {
    world[agent].runs = true;
    world.reconnect(agent);
}

fn number(epoch: &Value) -> u64 {
    epoch[1].as_u64().unwrap()
}

/// Those that an agent was told to be its own.
fn confirmed(world: &mut World, agent: Peer) -> Vec<Value> {
    let calls = world[agent].sim().called("xc");
    let named = calls.iter().flat_map(|call| call.params.as_array());
    named.flatten().map(|one| one["epoch"].clone()).collect()
}

#[test]
fn an_earlier_life_that_comes_back_after_a_later_one_is_ended() {
    for exclusive in [false, true] {
        let (mut world, [first, second, client], [earlier, later]) = moved(exclusive);
        world.close(second);
        world.run(800);
        let request = world.request(client, "cs", json!(["u", "op", 2]));
        world[first].sim().mute = vec!["ct"];
        thaws(&mut world, first);
        let ends = world[first].sim().called("ct");
        assert_eq!(ends.len(), 1, "exclusive: {exclusive}");
        assert_eq!(ends[0].ext["epoch"], earlier);
        world.run(2_000);
        assert_eq!(
            (world.answer(client, &request), world.home(client, "u")),
            (None, None),
            "its uuid is not free before it has ended"
        );
        assert_eq!(world[first].sim().ran, []);
        assert_eq!(confirmed(&mut world, first), [] as [Value; 0]);

        world.answer_call(first, &ends[0]);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        assert_eq!(world.answer(client, &request).unwrap().unwrap()["on"], "a");
        let last = epoch(&mut world, first);
        assert!(number(&last) > number(&later), "{last}");
        let told = world.held_events(client);
        let lives = told.iter().filter(|event| event["event"] == 1);
        let lives: Vec<&Value> = lives.map(|event| &event["placement"]).collect();
        assert_eq!(lives.len(), 1, "{told:?}");
        assert_eq!(lives[0]["epoch"], last);
        assert_eq!(lives[0]["failovers"], 2);
        let failover = &lives[0]["lastFailover"];
        assert_eq!(
            (&failover["from"], &failover["to"]),
            (&json!("b"), &json!("a"))
        );
        assert_eq!(failover["reason"], "ConnectionClosed");
    }
}

/// A container that keeps ending by itself waits for its next life, without an agent.
#[test]
fn it_is_ended_while_the_next_life_waits_and_hastens_nothing() {
    let (mut world, [first, second, client], _) = moved(false);
    for _ in 0..5 {
        world.run(2_500);
        world[second].sim().containers.clear();
        world.register(second);
    }
    let starts = |world: &mut World, agent: Peer| world[agent].sim().called("gg").len();
    let before = starts(&mut world, second);
    thaws(&mut world, first);
    assert!(world[first].sim().containers.is_empty());
    assert_eq!(
        (starts(&mut world, first), starts(&mut world, second)),
        (1, before)
    );
    world.run(5_000);
    assert!(world.home(client, "u").is_some());
    assert_eq!(
        starts(&mut world, first) + starts(&mut world, second),
        before + 2
    );
}

#[test]
fn a_life_that_never_began_ends_none_before_it() {
    for exclusive in [false, true] {
        let (mut world, first, second, client) = two(exclusive);
        let earlier = epoch(&mut world, first);
        world[second].sim().refuses = Some("it has no room".to_owned());
        world.freeze(first);
        world.run(3_200);
        assert_eq!(world[second].sim().called("gg").len(), 1);
        thaws(&mut world, first);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        assert_eq!(epoch(&mut world, first), earlier);
        assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
        assert_eq!(confirmed(&mut world, first).is_empty(), !exclusive);
    }
}

#[test]
fn a_life_that_may_have_begun_ends_those_before_it() {
    for exclusive in [false, true] {
        let (mut world, first, second, client) = two(exclusive);
        world[second].sim().mute = vec!["gg"];
        world.freeze(first);
        world.run(3_200);
        assert_eq!(world[second].sim().called("gg").len(), 1);
        // Whether it has begun, nobody says.
        world.close(second);
        world.run(1_300);
        thaws(&mut world, first);
        assert_eq!(world[first].sim().called("ct").len(), 1, "{exclusive}");
        world.run(2_000);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        assert_eq!(world[first].sim().called("gg").len(), 2);
    }
}

#[test]
fn the_later_one_goes_on_if_it_is_back_while_the_earlier_ends() {
    for exclusive in [false, true] {
        let (mut world, [first, second, client], [_, later]) = moved(exclusive);
        world.close(second);
        world.run(1_300);
        world[first].sim().mute = vec!["ct"];
        thaws(&mut world, first);
        // One that is earlier than the lost one comes first.
        let between = world.peer("between", Rust);
        world[between].agent = Some(AgentSim::new("z", Rust, &["k"]));
        world.connect(between);
        let mut copy = world[first].sim().containers["u"].huly.clone();
        copy["epoch"] = json!([later[0].as_u64().unwrap() - 1, 900]);
        world[between].sim().put("u", "k", copy);
        assert_eq!(world.register(between), ["u"]);
        world.reconnect(second);
        assert_eq!(world.home(client, "u").as_deref(), Some("b"));
        assert_eq!(epoch(&mut world, second), later);
        let end = world[first].sim().called("ct")[0].clone();
        world.answer_call(first, &end);
        world.run(2_000);
        assert_eq!(world.home(client, "u").as_deref(), Some("b"));
        assert_eq!(
            world.ask(client, "cs", json!(["u", "op", 3])).unwrap()["on"],
            "b"
        );
        let told = confirmed(&mut world, second);
        assert_eq!(told.contains(&later), exclusive, "{told:?}");
    }
}

/// Nobody held the container when the later life was lost, so that the server has forgotten it.
#[test]
fn an_earlier_life_of_what_was_forgotten_is_ended_too() {
    for exclusive in [false, true] {
        let (mut world, [first, second, client], [earlier, later]) = moved(exclusive);
        world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
        world.close(second);
        world.run(1_300);
        assert_eq!(world.home(client, "u"), None);
        world[first].sim().mute = vec!["ct"];
        thaws(&mut world, first);
        let get = json!({"kind": "k", "request": {"uuid": "u"}});
        let get = world.request(client, "gg", get);
        world.run(1_000);
        assert_eq!(world.answer(client, &get), None, "it has not ended");
        let ends = world[first].sim().called("ct");
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].ext["epoch"], earlier);
        world.answer_call(first, &ends[0]);
        assert!(world.answer(client, &get).unwrap().is_ok());
        assert!(number(&epoch(&mut world, first)) > number(&later));
        assert_eq!(confirmed(&mut world, first), [] as [Value; 0]);
    }
}

/// The same where nobody asks for it: nothing is left of it.
#[test]
fn an_earlier_life_of_what_nobody_wants_is_ended_and_forgotten() {
    let (mut world, [first, second, client], _) = moved(false);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.close(second);
    world.run(800);
    thaws(&mut world, first);
    assert!(world[first].sim().containers.is_empty());
    let sizes = world.registry.sizes();
    assert_eq!((sizes.containers, sizes.of_agents), (0, 0));
    // Where there was one life alone, it goes on.
    world.get(client, "k", json!({"uuid": "v"}));
    let before = epoch_of(&mut world, first, "v");
    world.ask(client, "cr", json!({"uuid": "v"})).unwrap();
    world.close(first);
    world.run(800);
    world.reconnect(first);
    world.get(client, "k", json!({"uuid": "v"}));
    assert_eq!(epoch_of(&mut world, first, "v"), before);
}

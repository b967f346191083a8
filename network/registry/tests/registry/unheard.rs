//! Lives of a container that the server does not hear of for a while: of starts that nobody answers,
//! and of agents that come back when nobody holds it any more.

use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Rust, World};

fn epoch(world: &mut World, agent: Peer) -> Value {
    world[agent].sim().containers["u"].huly["epoch"].clone()
}

/// Agent `a` has a life of `u` that the server does not know any more when agent `b` is there: nobody
/// held it when its agent was lost, or nobody heard that it had started (`starts`).
fn astray(starts: bool) -> (World, Peer, Peer) {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    if starts {
        world[first].sim().mute = vec!["gg"];
    }
    world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    if starts {
        let start = world[first].sim().called("gg")[0].clone();
        world[first].sim().act(&start).unwrap();
    }
    world.say(client, huly_protocol::Op::Close, "", "");
    world.freeze(first);
    world.run(3_200);
    assert_eq!(world.registry.sizes().containers, 0);
    let second = world.agent("b", Rust, &["k"]);
    (world, first, second)
}

fn thaws(world: &mut World, agent: Peer) {
    world[agent].sim().mute.clear();
    world[agent].runs = true;
    world.reconnect(agent);
}

#[test]
fn a_life_that_nobody_heard_of_does_not_go_on_after_a_later_one_that_ended() {
    for starts in [false, true] {
        let (mut world, first, second) = astray(starts);
        let client = world.client("d", Rust);
        world.get(client, "k", json!({"uuid": "u"}));
        assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
        let later = epoch(&mut world, second);
        world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
        world.run(5_100);
        assert_eq!(world.registry.sizes().containers, 0);
        thaws(&mut world, first);
        assert_eq!(world.home(client, "u"), None, "starts: {starts}");
        assert!(world[first].sim().containers.is_empty(), "{starts}");
        world.get(client, "k", json!({"uuid": "u"}));
        let all = [first, second].map(|agent| world[agent].sim().containers.get("u").cloned());
        let last = all.into_iter().flatten().next().unwrap();
        assert!(last.huly["epoch"][1].as_u64() > later[1].as_u64());
    }
}

#[test]
fn a_life_that_nobody_heard_of_goes_on_where_there_was_no_later_one() {
    for starts in [false, true] {
        let (mut world, first, _) = astray(starts);
        let before = epoch(&mut world, first);
        thaws(&mut world, first);
        let client = world.client("d", Rust);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
        world.get(client, "k", json!({"uuid": "u"}));
        assert_eq!(epoch(&mut world, first), before);
        // And is ended when nobody wants it any more.
        world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
        world.run(5_100);
        assert!(world[first].sim().containers.is_empty());
    }
}

#[test]
fn nor_does_one_that_was_not_placed_anew_before_its_last_holder_left() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.freeze(first);
    world.run(3_200);
    assert_eq!(world.home(client, "u"), None);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    let second = world.agent("b", Rust, &["k"]);
    world.get(client, "k", json!({"uuid": "u"}));
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(5_100);
    assert!(world[second].sim().containers.is_empty());
    thaws(&mut world, first);
    assert_eq!(world.home(client, "u"), None);
    assert!(world[first].sim().containers.is_empty());
}

/// The former process may have begun to start it, and has its lease.
#[test]
fn what_a_process_was_to_start_is_placed_anew_when_another_has_its_agents_id() {
    for exclusive in [false, true] {
        let mut world = World::new();
        let spec = json!({"kind": "k", "revision": 1, "exclusive": exclusive});
        world.specify(spec);
        let first = world.agent("a", Rust, &["k"]);
        let client = world.client("c", Rust);
        world[first].sim().mute = vec!["gg"];
        let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
        let start = world[first].sim().called("gg")[0].clone();
        world.close(first);
        let heir = world.peer("heir", Rust);
        world[heir].agent = Some(AgentSim::new("a", Rust, &["k"]));
        world.connect(heir);
        world.register(heir);
        let starts = world[heir].sim().called("gg").len();
        assert_eq!(starts, usize::from(!exclusive));
        world.run(1_300);
        assert!(world.answer(client, &get).unwrap().is_ok());
        let life = epoch(&mut world, heir);
        assert!(life[1].as_u64() > start.ext["epoch"][1].as_u64(), "{life}");
    }
}

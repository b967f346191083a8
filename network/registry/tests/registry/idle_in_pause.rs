//! Times in which the server itself does not run, or has more to read than it can: gets and references
//! that were said meanwhile wait to be read, and containers have them.

use huly_protocol::Op;
use huly_registry::{Config, Input};
use serde_json::json;

use crate::support::{Peer, Rust, World, config, ms};

/// How long a container lives that nobody holds, in ms.
const IDLE: u64 = 5_000;

/// A client has released `u`, which lives on agent `a`; that is so long ago.
fn released(run: u64) -> (World, Peer, Peer) {
    let mut world = World::starting(config());
    world.run(2_000);
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.run(300);
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.run(run);
    (world, agent, client)
}

/// The container was never told to end, and goes on.
fn check(world: &mut World, agent: Peer, client: Peer, case: &str) {
    world.run(IDLE + 1_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"), "{case}");
    assert_eq!(world[agent].sim().called("ct").len(), 0, "{case}");
}

#[test]
fn a_get_that_was_sent_in_a_pause_of_the_server_saves_its_container() {
    let runs = (0..IDLE).step_by(487);
    let pauses = runs.flat_map(|run| (4_000..10_000).step_by(750).map(move |pause| (run, pause)));
    for (run, pause) in pauses {
        for order in 0..3 {
            let (mut world, agent, client) = released(run);
            let other = world.client("d", Rust);
            world.now += ms(pause);
            match order {
                0 => world.say(other, Op::Ping, "", ""),
                1 => world.input(Input::Wake),
                _ => {}
            }
            world.get(client, "k", json!({"uuid": "u"}));
            let case = format!("{pause} ms, {run} ms after the release, {order}");
            check(&mut world, agent, client, &case);
        }
    }
}

#[test]
fn a_get_that_waits_behind_much_else_saves_its_container() {
    let (mut world, agent, client) = released(1_000);
    let other = world.client("d", Rust);
    for _ in 0..(IDLE - 500) {
        world.now += ms(1);
        world.say(other, Op::Ping, "", "");
        world.say(agent, Op::Ping, "", "");
        world.say(client, Op::Ping, "", "");
    }
    world.get(client, "k", json!({"uuid": "u"}));
    check(&mut world, agent, client, "a backlog");
}

#[test]
fn what_nobody_holds_ends_after_its_idle_time_without_the_servers_pauses() {
    for pause in [4_000, 60_000] {
        let (mut world, agent, _) = released(1_000);
        world.now += ms(pause);
        world.run(IDLE - 1_600);
        assert_eq!(world[agent].sim().called("ct").len(), 0, "{pause} ms");
        world.run(1_000);
        assert_eq!(world[agent].sim().called("ct").len(), 1, "{pause} ms");
    }
}

#[test]
fn a_pause_soon_after_the_start_ends_nothing_that_is_held() {
    for pause in [30_000, 56_000, 600_000] {
        let (mut world, agent, client) = released(0);
        world.get(client, "k", json!({"uuid": "u"}));
        world.restart_server();
        world.reconnect(agent);
        world.run(5_000);
        world.now += ms(pause);
        // It has to dial again first.
        world.run(1_500);
        world.reconnect(client);
        let get = json!({"uuid": "u", "kind": "k", "request": {"uuid": "u"}});
        world.ask(client, "xr", json!({ "gets": [get] })).unwrap();
        world.run(70_000);
        check(&mut world, agent, client, &format!("{pause} ms"));
    }
}

#[test]
fn what_is_orphaned_ends_after_a_restart_and_a_pause_too() {
    let (mut world, agent, _) = released(0);
    world.restart_server();
    world.reconnect(agent);
    world.run(5_000);
    world.now += ms(30_000);
    world.run(54_000);
    assert_eq!(world[agent].sim().called("ct").len(), 0);
    world.run(2_000);
    assert_eq!(world[agent].sim().called("ct").len(), 1);
}

#[test]
fn an_agent_that_is_back_in_a_pause_has_its_exclusive_containers_still() {
    for first in ["nothing", "a ping", "a get", "a registration", "a release"] {
        let mut world = World::starting(config());
        world.run(5_000);
        let spec = json!({"kind": "k", "revision": 1, "exclusive": true});
        world.specify(spec);
        let agent = world.agent("a", Rust, &["k"]);
        let client = world.client("c", Rust);
        world.get(client, "k", json!({"uuid": "u"}));
        let other = world.agent("b", Rust, &["k"]);
        let second = world.client("d", Rust);
        let third = world.client("e", Rust);
        world.get(third, "k", json!({"uuid": "u"}));
        world.run(200);
        world.close(agent);
        // The grace is over, and the lease is not.
        world.run(850);
        assert_eq!(world.registry.snapshot().agents.len(), 1);
        world.now += ms(900);
        match first {
            "a ping" => world.say(client, Op::Ping, "", ""),
            "a get" => {
                world.request(second, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
            }
            "a registration" => drop(world.agent("f", Rust, &["k"])),
            "a release" => {
                world.ask(third, "cr", json!({"uuid": "u"})).unwrap();
            }
            _ => world.input(Input::Wake),
        }
        world.reconnect(agent);
        world.run(2_000);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"), "{first}");
        assert_eq!(world[other].sim().called("gg").len(), 0, "{first}");
    }
}

/// The lease of before was waited for already, and when that was to be over is nothing of this one's.
#[test]
fn a_lease_that_is_waited_for_anew_lasts_through_a_pause_of_the_server() {
    let mut world = World::starting(Config {
        grace: ms(250),
        ..config()
    });
    world.run(5_000);
    world.specify(json!({"kind": "k", "revision": 1, "exclusive": true}));
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let other = world.agent("b", Rust, &["k"]);
    world.run(200);
    for _ in 0..2 {
        world.close(agent);
        world.run(300);
        assert_eq!(world.registry.snapshot().agents.len(), 1);
        world.reconnect(agent);
        assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    }
    world.close(agent);
    world.run(400);
    world.now += ms(10_000);
    world.say(client, Op::Ping, "", "");
    world.run(500);
    world.reconnect(agent);
    world.run(2_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(world[other].sim().called("gg").len(), 0);
}

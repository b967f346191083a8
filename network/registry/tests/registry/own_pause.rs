//! Times in which the server itself does not run, or has more to read than it can: what its peers sent
//! meanwhile waits, and they are not silent.

use huly_protocol::Op;
use huly_registry::{Config, Input};
use serde_json::json;

use crate::support::{Peer, Rust, World, config, ms};

/// A server that a client `c` has asked for `u`, which lives on agent `a`.
fn one_container(run: u64) -> (World, Peer, Peer) {
    let config = Config {
        round: ms(25),
        ..config()
    };
    let mut world = World::starting(config);
    world.run(2_000);
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.run(run);
    (world, agent, client)
}

/// The server goes on after so long: in most runtimes with a message, in some with what is due.
fn pause(world: &mut World, millis: u64, time_first: bool) {
    world.now += ms(millis);
    if time_first {
        world.input(Input::Wake);
    }
}

/// The container is still in its first life.
fn check(world: &mut World, agent: Peer, client: Peer, case: &str) {
    world.run(4_000);
    let snapshot = world.registry.snapshot();
    assert_eq!(snapshot.counted.agents_lost.len(), 0, "{case}");
    assert_eq!(world.home(client, "u").as_deref(), Some("a"), "{case}");
    assert_eq!(world[agent].sim().called("gg").len(), 1, "{case}");
}

/// What a sweep goes through: how long the server ran before, how long it did not, and how it goes on.
fn sweep(longest: u64) -> impl Iterator<Item = (u64, u64, bool)> {
    let pauses = move |run| (50..longest).step_by(50).map(move |pause| (run, pause));
    let all = (0..2_000).step_by(187).flat_map(pauses);
    all.flat_map(|(run, pause)| [false, true].map(|first| (run, pause, first)))
}

#[test]
fn a_pause_of_the_server_of_any_length_is_nobodys_silence() {
    for (run, millis, time_first) in sweep(4_500) {
        let (mut world, agent, client) = one_container(run);
        pause(&mut world, millis, time_first);
        // The client's message is read first.
        world.say(client, Op::Ping, "", "");
        world.say(agent, Op::Ping, "", "");
        let case = format!("{millis} ms after {run} ms, {time_first}");
        check(&mut world, agent, client, &case);
    }
}

#[test]
fn who_comes_back_in_a_pause_of_the_server_is_back_within_the_grace() {
    for (run, millis, time_first) in sweep(2_000) {
        let (mut world, agent, client) = one_container(run % 300);
        world.close(agent);
        world.run(run / 8);
        pause(&mut world, millis, time_first);
        world.say(client, Op::Ping, "", "");
        world.reconnect(agent);
        let case = format!("{millis} ms, {} ms after the close, {time_first}", run / 8);
        check(&mut world, agent, client, &case);
    }
}

#[test]
fn a_pause_of_any_length_about_the_end_of_the_grace_loses_nobody_who_is_back() {
    // From before the close on, through the end of the grace.
    let runs = (0..775).step_by(31);
    let cases = runs.flat_map(|run| (10..700).step_by(23).map(move |pause| (run, pause)));
    for (run, millis) in cases {
        for wakes in 0..3 {
            let (mut world, agent, client) = one_container(310);
            world.close(agent);
            world.run(run);
            let back = run + millis / 4 < 745;
            world.now += ms(millis);
            // The runtime sees the time first, some times, and then what had come.
            for _ in 0..wakes {
                world.input(Input::Wake);
                world.now += ms(1);
            }
            world.reconnect(agent);
            let case = format!("{millis} ms, {run} ms after the close, {wakes}");
            if back {
                check(&mut world, agent, client, &case);
            }
        }
    }
}

#[test]
fn while_much_waits_to_be_read_nobody_counts_as_silent() {
    let (mut world, agent, client) = one_container(1_000);
    let read_until = world.now + ms(3_500);
    while world.now < read_until {
        world.now += ms(1);
        world.say(client, Op::Ping, "", "");
    }
    world.say(agent, Op::Ping, "", "");
    check(&mut world, agent, client, "a backlog");
}

/// Time passes in steps of so many ms, each with a message of the client's and never without one,
/// until the agent is lost: says after how many ms.
fn lost_after(world: &mut World, client: Peer, step: u64) -> u64 {
    let begin = world.now;
    while world.registry.snapshot().counted.agents_lost.is_empty() {
        world.now += ms(step);
        world.say(client, Op::Ping, "", "");
        assert!(world.now - begin < ms(60_000), "it is lost");
    }
    u64::try_from((world.now - begin).as_millis()).unwrap()
}

#[test]
fn a_server_that_always_has_a_message_gives_up_who_is_silent_a_second_later() {
    let (mut world, agent, client) = one_container(1_000);
    world.freeze(agent);
    let after = lost_after(&mut world, client, 1);
    assert!((3_700..=4_001).contains(&after), "{after} ms");
    assert_eq!(world.registry.snapshot().agents.len(), 0);

    let (mut world, agent, client) = one_container(1_000);
    world.close(agent);
    let after = lost_after(&mut world, client, 1);
    assert!((1_750..=1_751).contains(&after), "{after} ms");
}

#[test]
fn a_server_that_hardly_runs_gives_up_who_is_silent() {
    let (mut world, agent, client) = one_container(1_000);
    world.freeze(agent);
    let after = lost_after(&mut world, client, 600);
    assert!((3_000..20_000).contains(&after), "{after} ms");
}

#[test]
fn a_pause_while_the_server_settles_places_nothing_anew() {
    for time_first in [false, true] {
        let (mut world, agent, client) = one_container(1_000);
        let other = world.agent("b", Rust, &["k"]);
        world.restart_server();
        world.run(200);
        pause(&mut world, 5_000, time_first);
        world.reconnect(other);
        world.reconnect(client);
        let get = json!({"uuid": "u", "kind": "k", "request": {"uuid": "u"}});
        world.ask(client, "xr", json!({ "gets": [get] })).unwrap();
        world.reconnect(agent);
        let case = format!("settling, {time_first}");
        check(&mut world, agent, client, &case);
    }
}

#[test]
fn what_an_agent_answered_in_a_pause_of_the_server_is_in_time() {
    for time_first in [false, true] {
        let (mut world, agent, client) = one_container(1_000);
        world[agent].sim().mute = vec!["gg"];
        let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "v"}}));
        let start = world[agent].sim().called("gg").pop().unwrap();
        world[agent].sim().mute.clear();
        pause(&mut world, 600_000, time_first);
        world.say(client, Op::Ping, "", "");
        world.answer_call(agent, &start);
        let got = world.answer(client, &get).expect("an answer").unwrap();
        assert_eq!(got[0], "v", "{time_first}");
    }
}

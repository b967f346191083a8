//! Client sessions: whose uuid is fresh when, who takes over what, when they end.

use huly_protocol::Op;
use serde_json::json;

use crate::support::{Plain, Rust, WALL, World, config};

#[test]
fn a_rust_hello_is_answered_with_what_the_server_is() {
    let mut world = World::new();
    let peer = world.client("c", Rust);
    let answer = world[peer].last_hello();
    assert_eq!(answer["instance"], "instance-1");
    assert_eq!(answer["term"], WALL);
    assert_eq!(answer["network"], "default");
    assert_eq!(answer["control"], false);
    assert_eq!(answer["limits"]["leaseMs"], 1_000);
    assert_ne!(world[peer].uuid, "instance-1", "the uuid is the session's");
}

#[test]
fn the_control_secret_is_judged_at_each_hello() {
    let mut world = World::new();
    let peer = world.operator();
    assert_eq!(world[peer].last_hello()["control"], true);
    assert_eq!(world.ask(peer, "kr", json!({"kinds": []})), Ok(json!([])));
    for wrong in [None, Some("open sesamE"), Some("open sesame "), Some("")] {
        world[peer].secret = wrong.map(str::to_owned);
        world.connect(peer);
        assert_eq!(world[peer].last_hello()["control"], false, "{wrong:?}");
        let error = world.ask(peer, "kr", json!({"kinds": []})).unwrap_err();
        assert_eq!(error["code"], "notAllowed");
    }
}

#[test]
fn without_a_secret_nobody_controls() {
    let mut config = config();
    config.control_secret = None;
    let mut world = World::starting(config);
    let peer = world.operator();
    assert_eq!(world[peer].last_hello()["control"], false);
    for (method, params) in [
        ("ks", json!({"kind": "k", "revision": 1})),
        ("kr", json!({"kinds": []})),
        ("xs", json!({"sync": "1", "uuids": [], "last": true})),
        (
            "gg",
            json!({"kind": "k", "request": {}, "huly": {"durable": true}}),
        ),
    ] {
        let error = world.ask(peer, method, params).unwrap_err();
        assert_eq!(error["code"], "notAllowed", "{method}");
    }
}

#[test]
fn who_lost_nothing_with_its_connection_keeps_its_session() {
    let mut world = World::new();
    let peer = world.client("c", Rust);
    let uuid = world[peer].uuid.clone();
    world.close(peer);
    assert_eq!(world.connect(peer), uuid);
}

#[test]
fn an_answer_that_may_be_lost_makes_a_fresh_uuid() {
    for close in [true, false] {
        let mut world = World::new();
        let peer = world.client("c", Rust);
        let uuid = world[peer].uuid.clone();
        world.ask(peer, "al", json!({})).unwrap();
        if close {
            world.close(peer);
        }
        assert_ne!(world.connect(peer), uuid, "closed: {close}");
    }
}

/// A TypeScript client's own requests may be lost with a connection as well; it sends them again
/// only when the uuid changed (W21).
#[test]
fn every_new_connection_of_a_typescript_client_has_a_fresh_uuid() {
    let mut world = World::new();
    let peer = world.client("c", Plain);
    let uuid = world[peer].uuid.clone();
    world.close(peer);
    assert_ne!(world.connect(peer), uuid);
}

#[test]
fn hello_again_over_the_same_connection_changes_nothing() {
    for side in [Plain, Rust] {
        let mut world = World::new();
        let peer = world.client("c", side);
        world.ask(peer, "al", json!({})).unwrap();
        let uuid = world[peer].uuid.clone();
        let hello = world[peer].hello().to_string();
        world.say(peer, Op::Hello, "c", hello);
        assert_eq!(world[peer].uuid, uuid);
    }
}

#[test]
fn a_late_close_of_a_superseded_connection_ends_nothing() {
    // An end that the server never hears of is as late as can be: silence alone tells of it.
    for (side, is_heard_of) in [(Plain, true), (Rust, true), (Plain, false), (Rust, false)] {
        let mut world = World::new();
        let agent = world.agent("a", side, &["k"]);
        let client = world.client("c", side);
        let uuid = world.get(client, "k", json!({"uuid": "u"}));
        for peer in [agent, client] {
            let old = world[peer].conn.clone().unwrap();
            world.reconnect(peer);
            if is_heard_of {
                world.close_old(old);
            }
        }
        world.run(10_000);
        assert_eq!(world.home(client, &uuid).as_deref(), Some("a"));
        assert_eq!(world.registry.snapshot().references["k"], 1);
        assert_eq!(world.registry.snapshot().counted.agents_lost.len(), 0);
    }
}

#[test]
fn another_nonce_takes_over_references_and_not_requests() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let peer = world.client("c", Rust);
    world.get(peer, "k", json!({"uuid": "u"}));
    world[agent].sim().mute = vec!["cs"];
    world.request_as(peer, "old-request", "cs", json!(["u", "op", 1]));
    let uuid = world[peer].uuid.clone();

    let second = world.peer("c", Rust);
    world[second].nonce = "another process".into();
    world.connect(second);
    assert_ne!(world[second].uuid, uuid);
    let told = world[peer].got_on_old.len() + world[peer].got.len();
    assert!(told > 0);
    let events = world.events(peer);
    assert!(events.iter().any(|event| event["superseded"].is_string()));

    let call = world[agent].sim().called("cs").pop().unwrap();
    world.answer_call(agent, &call);
    assert_eq!(world.answer(second, "old-request"), None);
    world.run(60_000);
    assert_eq!(world.home(second, "u").as_deref(), Some("a"), "it is held");
    world.ask(second, "cr", json!({"uuid": "u"})).unwrap();
    world.run(6_000);
    assert_eq!(world.home(second, "u"), None);
}

#[test]
fn agents_of_another_incarnation_are_gone_at_once() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let other = world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let uuid = world.get(client, "k", json!({"uuid": "u"}));
    let (first, second) = match world.home(client, &uuid).as_deref() {
        Some("a") => (agent, "b"),
        _ => (other, "a"),
    };
    world[first].nonce = "started again".into();
    world[first].sim().containers.clear();
    world.connect(first);
    assert_eq!(world.home(client, &uuid).as_deref(), Some(second));
}

#[test]
fn silence_ends_a_session_after_its_own_alive_timeout() {
    for (said, lives, dead) in [
        (Some(3.0), 2_900, 200),
        (Some(1.0), 900, 200),
        (None, 2_900, 200),
    ] {
        let mut world = World::new();
        world.agent("a", Rust, &["k"]);
        let watcher = world.client("w", Rust);
        let peer = world.peer("c", Plain);
        world[peer].alive_timeout = said;
        world.connect(peer);
        world.get(peer, "k", json!({"uuid": "u"}));
        world.freeze(peer);
        world.run(lives);
        assert_eq!(world.registry.snapshot().references["k"], 1, "{said:?}");
        world.run(dead);
        assert_eq!(world.registry.snapshot().references["k"], 0, "{said:?}");
        world.run(5_100);
        assert_eq!(world.home(watcher, "u"), None);
    }
}

#[test]
fn any_message_is_a_sign_of_life() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let peer = world.client("c", Plain);
    world.get(peer, "k", json!({"uuid": "u"}));
    for _ in 0..5 {
        world[peer].next_ping += crate::support::ms(60_000);
        world.run(2_000);
        world.request(peer, "ak", json!({}));
    }
    assert_eq!(world.registry.snapshot().references["k"], 1);
}

#[test]
fn the_servers_own_pause_is_nobodys_silence() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.run(100);
    // The server's process did not run for a minute; what its peers sent waits to be read.
    world.now += crate::support::ms(60_000);
    world.input(huly_registry::Input::Wake);
    world.run(2_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(world[agent].sim().called("gg").len(), 1);
}

#[test]
fn close_ends_the_session_at_once() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let peer = world.client("c", Plain);
    world.get(peer, "k", json!({"uuid": "u"}));
    world.say(peer, Op::Close, "", "");
    assert_eq!(world.registry.snapshot().references["k"], 0);
    assert_eq!(world.registry.snapshot().sessions, (0, 1));
    // A ping after that is answered, and the question who it is (W07).
    world.say(peer, Op::Ping, "", "");
    let last: Vec<Op> = world[peer]
        .got
        .iter()
        .rev()
        .take(2)
        .map(|got| got.op)
        .collect();
    assert_eq!(last, [Op::AskHello, Op::Pong]);
}

#[test]
fn who_detaches_leaves_durable_references_alone() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.hold_durably(operator, "k", "d");
    world.get(operator, "k", json!({"uuid": "ordinary"}));
    assert_eq!(world.ask(operator, "xd", json!({})), Ok(json!("ok")));
    assert_eq!(
        world.registry.snapshot().references["k"],
        2,
        "until it leaves"
    );
    world.close(operator);
    world.run(10_000);
    let watcher = world.client("w", Rust);
    assert_eq!(world.home(watcher, "d").as_deref(), Some("a"));
    assert_eq!(world.home(watcher, "ordinary"), None);
}

#[test]
fn strangers_are_told_to_say_hello() {
    let mut world = World::new();
    let peer = world.client("c", Rust);
    world.say(peer, Op::Close, "", "");
    world.request_as(peer, "r", "al", json!({}));
    let last = world[peer].got.last().unwrap();
    assert_eq!(
        (last.op, last.id.as_str(), &last.payload[..]),
        (Op::Retry, "r", &b"1"[..])
    );
}

#[test]
fn pongs_repeat_what_the_ping_said() {
    let mut world = World::new();
    let peer = world.client("c", Rust);
    world.say(peer, Op::Ping, "", "4711");
    let pong = world[peer].got.last().unwrap();
    assert_eq!((pong.op, &pong.payload[..]), (Op::Pong, &b"4711"[..]));
    assert_eq!(pong.id, world[peer].uuid);
}

#[test]
fn a_connection_that_the_server_gave_up_is_no_death() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.cut(agent);
    world.run(1_100);
    let asked = world[agent].got.iter().any(|got| got.op == Op::AskHello);
    assert!(
        asked,
        "its next ping is answered with the question who it is"
    );
    world.reconnect(agent);
    world.run(10_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(world.registry.snapshot().counted.agents_lost.len(), 0);
}

#[test]
fn an_agent_that_is_silent_after_that_is_lost() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    world.cut(agent);
    world.freeze(agent);
    world.run(3_100);
    assert_eq!(
        world.registry.snapshot().counted.agents_lost["AgentSilent"],
        1
    );
}

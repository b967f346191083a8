//! Gets that say on which agent a container is to start.

use serde_json::{Value, json};

use crate::support::{Peer, Rust, World};

fn get_on(world: &mut World, client: Peer, request: Value, agent: &str) -> Result<Value, Value> {
    world.get_with(client, "k", request, json!({"agent": agent}))
}

#[test]
fn a_container_starts_where_its_get_says() {
    let mut world = World::new();
    let a = world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    for n in 0..3 {
        let got = get_on(&mut world, client, json!({"uuid": format!("u{n}")}), "b").unwrap();
        assert_eq!(got[2]["agentId"], "b");
    }
    // The round robin of others is as it was.
    let homes: Vec<_> = ["x", "y"]
        .map(|uuid| {
            world.get(client, "k", json!({"uuid": uuid}));
            world.home(client, uuid).unwrap()
        })
        .to_vec();
    assert_eq!(homes, ["a", "b"]);
    // One that lives is got where it does.
    let got = get_on(&mut world, client, json!({"uuid": "x"}), "b").unwrap();
    assert_eq!(got[2]["agentId"], "a");
    // Without a uuid one there is joined, with its labels or without any.
    let made = get_on(&mut world, client, json!({"labels": ["l"]}), "b").unwrap();
    assert_eq!(made[2]["agentId"], "b");
    for (request, agent, joins) in [
        (json!({"labels": ["l"]}), "b", true),
        (json!({}), "b", true),
        (json!({"labels": ["l"]}), "a", false),
        (json!({}), "a", true),
    ] {
        let got = get_on(&mut world, client, request.clone(), agent).unwrap();
        assert_eq!(got[2]["agentId"], agent, "{request}");
        let starts = world[a].sim().called("gg").len();
        assert_eq!(
            got[0] == made[0],
            joins && agent == "b",
            "{request} on {agent}: {starts}"
        );
    }
}

#[test]
fn an_agent_that_cannot_have_it_is_named_by_its_reason() {
    let mut world = World::new();
    world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["other"]);
    let client = world.client("c", Rust);
    for (agent, reasons) in [
        (
            "b",
            json!([{"reason": "KindNotServed", "agents": 1}, {"reason": "OtherAgent", "agents": 1}]),
        ),
        ("nobody", json!([{"reason": "OtherAgent", "agents": 2}])),
    ] {
        let error = get_on(&mut world, client, json!({"uuid": "u"}), agent).unwrap_err();
        assert_eq!(error["code"], "noSuitableAgent");
        assert_eq!(error["rejections"], reasons);
    }
    // Nothing is left of it.
    world.get(client, "k", json!({"uuid": "u"}));
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
}

#[test]
fn placed_again_it_goes_anywhere() {
    let mut world = World::new();
    let a = world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    get_on(&mut world, client, json!({"uuid": "u"}), "a").unwrap();
    world.close(a);
    world.run(5_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn while_the_server_settles_it_waits_like_others() {
    let mut world = World::new();
    let a = world.agent("a", Rust, &["k"]);
    let b = world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.restart_server();
    for peer in [client, a, b] {
        world.reconnect(peer);
    }
    let huly = json!({"agent": "b"});
    let params = json!({"kind": "k", "request": {"uuid": "u"}, "huly": huly});
    let get = world.request(client, "gg", params);
    assert_eq!(world.answer(client, &get), None);
    world.run(2_000);
    assert_eq!(
        world.answer(client, &get).unwrap().unwrap()[2]["agentId"],
        "b"
    );
}

//! Gets that say on which agent a container is to start.

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Rust, World};

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

/// `u` is to start on `a` for one client, which does not answer; another asks for it as well.
fn starting_on_a() -> (World, [Peer; 2], [(Peer, String); 2]) {
    let mut world = World::new();
    let agents = ["a", "b"].map(|id| world.agent(id, Rust, &["k"]));
    world[agents[0]].sim().mute = vec!["gg"];
    let clients = ["c", "d"].map(|id| world.client(id, Rust));
    let on_a = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"agent": "a"}});
    let any = json!({"kind": "k", "request": {"uuid": "u"}});
    let first = world.request(clients[0], "gg", on_a);
    let second = world.request(clients[1], "gg", any);
    assert_eq!(world[agents[0]].sim().called("gg").len(), 1);
    (world, agents, [(clients[0], first), (clients[1], second)])
}

#[test]
fn it_goes_anywhere_when_its_agent_is_gone_before_it_has_started() {
    let (mut world, [a, _], gets) = starting_on_a();
    world.close(a);
    world.run(1_000);
    for (client, get) in gets {
        let got = world.answer(client, &get).expect("an answer").unwrap();
        assert_eq!(got[2]["agentId"], "b");
    }
}

#[test]
fn it_goes_anywhere_when_its_agent_leaves_before_it_has_started() {
    let (mut world, [a, _], gets) = starting_on_a();
    let start = world[a].sim().called("gg").pop().unwrap();
    world.ask(a, "xg", json!({"uuid": "a"})).unwrap();
    let error = json!({"message": "it leaves", "stack": "", "code": "interrupted"});
    world.say(a, Op::ResponseError, &start.id, error.to_string());
    for (client, get) in gets {
        let got = world.answer(client, &get).expect("an answer").unwrap();
        assert_eq!(got[2]["agentId"], "b");
    }
}

#[test]
fn who_holds_it_has_it_anywhere_when_it_did_not_start_where_a_get_said() {
    let (mut world, [a, _], gets) = starting_on_a();
    let holder = world.client("e", Rust);
    let get = json!({"uuid": "u", "kind": "k", "request": {"uuid": "u"}});
    world.ask(holder, "xr", json!({ "gets": [get] })).unwrap();
    let start = world[a].sim().called("gg").pop().unwrap();
    world[a].sim().mute.clear();
    world[a].sim().refuses = Some("disk full".into());
    world.answer_call(a, &start);
    for (client, get) in gets {
        let error = world.answer(client, &get).expect("an answer").unwrap_err();
        assert_eq!(error["message"], "disk full");
    }
    world.run(5_000);
    assert_eq!(world.home(holder, "u").as_deref(), Some("b"));
}

#[test]
fn an_agent_that_is_not_there_is_an_error_for_who_asked_for_it_alone() {
    let mut world = World::new();
    let b = world.agent("b", Rust, &["k"]);
    let clients = ["c", "d", "e"].map(|id| world.client(id, Rust));
    world.restart_server();
    for peer in clients.into_iter().chain([b]) {
        world.reconnect(peer);
    }
    // The first makes it; where the others say does not matter.
    let said = [
        json!({"agent": "gone"}),
        json!({}),
        json!({"agent": "nobody"}),
    ];
    let mut gets = Vec::new();
    for (client, huly) in clients.into_iter().zip(said) {
        let params = json!({"kind": "k", "request": {"uuid": "u"}, "huly": huly});
        gets.push(world.request(client, "gg", params));
    }
    world.run(2_000);
    let mut answers = clients.into_iter().zip(&gets);
    let mut next = || {
        let (client, get) = answers.next().expect("a get");
        world.answer(client, get).expect("an answer")
    };
    assert_eq!(next().unwrap_err()["code"], "noSuitableAgent");
    assert_eq!(next().unwrap()[2]["agentId"], "b");
    assert_eq!(next().unwrap()[2]["agentId"], "b");
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

#[test]
fn it_goes_anywhere_when_another_process_has_its_agents_id_before_it_has_started() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    world[first].sim().mute = vec!["gg"];
    let params = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"agent": "a"}});
    let get = world.request(client, "gg", params);
    assert_eq!(world[first].sim().called("gg").len(), 1);
    world.close(first);
    // That one does not serve the kind.
    let second = world.peer("another-client-of-a", Rust);
    world[second].agent = Some(AgentSim::new("a", Rust, &["other"]));
    world.connect(second);
    world.register(second);
    world.run(5_000);
    let got = world.answer(client, &get).expect("an answer").unwrap();
    assert_eq!(got[2]["agentId"], "b");
}

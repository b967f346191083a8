//! Exclusive kinds: nothing is placed elsewhere, or let go on, while another life may accept.

use huly_protocol::Op;
use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Plain, Rust, SECRET, Side, WALL, World, later};

/// The lease and what is waited for beyond it, in ms.
const SURELY: u64 = 1_250;
/// The same of the longest lease that another server may have given.
const FORMER: u64 = 3_750;

fn spec() -> Value {
    json!({"kind": "k", "revision": 1, "exclusive": true})
}

/// The operator says that the kind is exclusive.
fn make_exclusive(world: &mut World) -> Peer {
    let operator = world.operator();
    world.ask(operator, "ks", spec()).unwrap();
    operator
}

/// Agents `a` and `b`, a client that holds `u` of an exclusive kind on `a`.
fn two() -> (World, Peer, Peer, Peer) {
    let mut world = World::new();
    make_exclusive(&mut world);
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world.events(client);
    (world, first, second, client)
}

/// The uuids that an agent was told to be its own, in order.
fn confirmed(world: &mut World, agent: Peer) -> Vec<String> {
    let calls = world[agent].sim().called("xc");
    let named = calls
        .iter()
        .flat_map(|call| call.params.as_array().unwrap());
    named
        .map(|one| one["uuid"].as_str().unwrap().to_owned())
        .collect()
}

fn starts(world: &mut World, agent: Peer) -> usize {
    world[agent].sim().called("gg").len()
}

#[test]
fn it_is_placed_elsewhere_when_the_lease_is_over() {
    let (mut world, first, second, client) = two();
    // The last ping that was heard of it is so old when the connection closes.
    world.run(200);
    let heard = world.now - crate::support::ms(200);
    world.close(first);
    let held = world.request(client, "cs", json!(["u", "op", 7]));
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    let passed = |world: &World| u64::try_from((world.now - heard).as_millis()).unwrap();
    // The grace is over long before.
    let left = SURELY - passed(&world) - 1;
    world.run(left);
    assert_eq!(starts(&mut world, second), 0);
    assert_eq!(world.held_events(client).len(), 0, "nothing is said of it");
    world.run(1);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    assert_eq!(world.answer(client, &held).unwrap().unwrap()["on"], "b");
    assert!(world.answer(client, &get).unwrap().is_ok());
    let events = world.held_events(client);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], 1);
}

#[test]
fn silence_outlasts_the_lease() {
    let (mut world, first, second, client) = two();
    world.freeze(first);
    world.run(2_900);
    assert_eq!(starts(&mut world, second), 0);
    world.run(200);
    assert_eq!(
        world.home(client, "u").as_deref(),
        Some("b"),
        "after 3 s, at once"
    );
}

#[test]
fn a_client_that_is_forgotten_sooner_keeps_its_lease() {
    let mut world = World::new();
    make_exclusive(&mut world);
    let first = world.peer("client-of-a", Rust);
    world[first].agent = Some(AgentSim::new("a", Rust, &["k"]));
    world[first].alive_timeout = Some(0.5);
    world.connect(first);
    world.register(first);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    world.freeze(first);
    world.run(SURELY - 251);
    assert_eq!(starts(&mut world, second), 0);
    world.run(251);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn who_is_back_in_time_goes_on_and_is_told_so() {
    let (mut world, first, second, client) = two();
    world.close(first);
    // Given up already, and its lease is not over.
    world.run(900);
    assert_eq!(
        world.registry.snapshot().counted.agents_lost["ConnectionClosed"],
        1
    );
    world.reconnect(first);
    assert_eq!(confirmed(&mut world, first), ["u"]);
    world.run(10_000);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    assert_eq!(starts(&mut world, second), 0);
    assert!(world.ask(client, "cs", json!(["u", "op", 1])).is_ok());
}

#[test]
fn what_its_agent_says_to_have_ended_is_placed_at_once() {
    let (mut world, first, second, client) = two();
    world.ask(first, "au", json!({"uuid": "a"})).unwrap();
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    world.register(first);
    let copy = world[second].sim().containers.remove("u").unwrap();
    let ended = json!({"agents": [], "containers": [{"event": 2, "container": {
        "agentId": "b", "uuid": "u", "kind": "k", "endpoint": copy.endpoint, "lastVisit": 0,
        "huly": {"epoch": copy.huly["epoch"]}}}]});
    world.ask(second, "cu", ended).unwrap();
    assert!(world.home(client, "u").is_some());
}

#[test]
fn what_nobody_holds_any_more_is_remembered_for_as_long() {
    let (mut world, first, second, client) = two();
    world.ask(client, "cr", json!({"uuid": "u"})).unwrap();
    world.close(first);
    world.run(800);
    assert_eq!(world.home(client, "u"), None);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert_eq!(
        (world.answer(client, &get), starts(&mut world, second)),
        (None, 0)
    );
    world.run(500);
    assert!(world.answer(client, &get).unwrap().is_ok());
}

#[test]
fn a_typescript_agent_has_no_lease_to_wait_for() {
    let mut world = World::new();
    make_exclusive(&mut world);
    let first = world.agent("a", Plain, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.agent("b", Rust, &["k"]);
    world.close(first);
    world.run(1_010);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn an_ordinary_kind_is_placed_after_the_grace_as_ever() {
    let mut world = World::new();
    make_exclusive(&mut world);
    let first = world.agent("a", Rust, &["other"]);
    let client = world.client("c", Rust);
    world.get(client, "other", json!({"uuid": "u"}));
    world.agent("b", Rust, &["other"]);
    world.close(first);
    world.run(751);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

/// A copy that another server has placed.
fn copy(epoch: Value, leased: bool) -> Value {
    json!({"epoch": epoch, "spec": spec(), "leased": leased})
}

fn bring(world: &mut World, id: &str, side: Side, huly: Value) -> Peer {
    let peer = world.peer(&format!("client-of-{id}"), side);
    world[peer].agent = Some(AgentSim::new(id, side, &["k"]));
    world.connect(peer);
    world[peer].sim().put("u", "k", huly);
    world.register(peer);
    peer
}

#[test]
fn after_a_restart_a_lease_that_lasted_goes_on_and_another_waits() {
    let mut world = World::starting(later());
    let lasted = bring(&mut world, "a", Rust, copy(json!([WALL - 9, 1]), true));
    assert_eq!(confirmed(&mut world, lasted), ["u"]);

    let mut world = World::starting(later());
    let lapsed = bring(&mut world, "a", Rust, copy(json!([WALL - 9, 1]), false));
    world.run(FORMER - 1);
    assert_eq!(confirmed(&mut world, lapsed), [] as [&str; 0]);
    world.run(1);
    assert_eq!(confirmed(&mut world, lapsed), ["u"]);
}

#[test]
fn a_wait_that_is_prolonged_ends_too() {
    let mut world = World::starting(later());
    let first = bring(&mut world, "a", Rust, copy(json!([WALL - 9, 1]), false));
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let second = world.agent("b", Rust, &["k"]);
    // Its agent is given up shortly before former leases are over: its own lasts longer.
    world.run(FORMER - 800);
    world.close(first);
    world.run(790);
    let lost = world.registry.snapshot().counted.agents_lost["ConnectionClosed"];
    assert_eq!((lost, starts(&mut world, second)), (1, 0));
    world.run(SURELY);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    assert_eq!(confirmed(&mut world, second), [] as [&str; 0]);
    assert_eq!(world.registry.sizes().fences_over, 0);
}

#[test]
fn what_is_not_wanted_any_more_is_not_waited_for() {
    let mut world = World::starting(later());
    make_exclusive(&mut world);
    world.agent("a", Rust, &["k"]);
    world.run(2_000);
    let before = world.registry.sizes().timers;
    let client = world.peer("c", Rust);
    world[client].alive_timeout = Some(0.5);
    world.connect(client);
    world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    assert!(world.registry.sizes().timers > before);
    world.freeze(client);
    world.run(600);
    let sizes = world.registry.sizes();
    assert_eq!((sizes.containers, sizes.timers), (0, before));
}

#[test]
fn after_a_restart_the_later_life_is_the_one() {
    let mut world = World::starting(later());
    let earlier = bring(&mut world, "a", Rust, copy(json!([WALL - 9, 1]), false));
    world.run(300);
    let later = bring(&mut world, "b", Rust, copy(json!([WALL - 9, 2]), true));
    assert!(world[earlier].sim().containers.is_empty());
    world.run(FORMER);
    assert_eq!(confirmed(&mut world, earlier), [] as [&str; 0]);
    assert_eq!(confirmed(&mut world, later), ["u"]);
}

#[test]
fn a_later_life_waits_for_the_one_that_goes_on_to_hear_of_its_end() {
    let (mut world, first, _, client) = two();
    world[first].sim().mute = vec!["ct"];
    let late = bring(&mut world, "z", Rust, copy(json!([WALL + 1, 1]), true));
    assert_eq!(world.home(client, "u").as_deref(), Some("z"));
    world.run(SURELY - 1);
    assert_eq!(confirmed(&mut world, late), [] as [&str; 0]);
    world.run(1);
    assert_eq!(confirmed(&mut world, late), ["u"]);
}

#[test]
fn after_a_start_no_uuid_is_placed_before_former_leases_are_over() {
    for fresh in [false, true] {
        let mut world = World::starting(later());
        make_exclusive(&mut world);
        world.agent("a", Rust, &["k"]);
        let client = world.client("c", Rust);
        let get =
            |uuid: &str| json!({"kind": "k", "request": {"uuid": uuid}, "huly": {"fresh": fresh}});
        let first = world.request(client, "gg", get("u"));
        world.run(2_000);
        let second = world.request(client, "gg", get("v"));
        world.run(FORMER - 2_001);
        let answers = [&first, &second].map(|id| world.answer(client, id));
        assert_eq!(answers, [None, None], "fresh: {fresh}");
        world.run(1);
        for id in [first, second] {
            assert!(world.answer(client, &id).unwrap().is_ok());
        }
    }
}

#[test]
fn a_uuid_of_the_servers_own_making_need_not_wait() {
    let mut world = World::starting(later());
    make_exclusive(&mut world);
    world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    let got = world.get_with(client, "k", json!({}), json!({"new": true}));
    assert!(got.is_ok());
}

#[test]
fn a_failover_soon_after_a_restart_waits_for_its_own_lease_alone() {
    let mut world = World::starting(later());
    let first = bring(&mut world, "a", Rust, copy(json!([WALL - 9, 1]), true));
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    world.agent("b", Rust, &["k"]);
    world.close(first);
    world.run(SURELY);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn a_kind_that_becomes_exclusive_is_so_for_what_lives() {
    let mut world = World::new();
    let first = world.agent("a", Rust, &["k"]);
    let client = world.client("c", Rust);
    world.get(client, "k", json!({"uuid": "u"}));
    let operator = make_exclusive(&mut world);
    assert_eq!(confirmed(&mut world, first), ["u"]);
    let second = world.agent("b", Rust, &["k"]);
    // Deleted, and what was placed by it stays what it is; this was not.
    world.ask(operator, "kr", json!({"kinds": []})).unwrap();
    world.close(first);
    world.run(751);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
    // What was placed while the kind was exclusive is so also when that is deleted.
    world.ask(operator, "ks", spec()).unwrap();
    world.get(client, "k", json!({"uuid": "v"}));
    assert_eq!(world.home(client, "v").as_deref(), Some("b"));
    world.ask(operator, "kr", json!({"kinds": []})).unwrap();
    let third = world.agent("d", Rust, &["k"]);
    world.close(second);
    world.run(800);
    assert_eq!(starts(&mut world, third), 1, "u alone");
    world.run(500);
    assert_eq!(starts(&mut world, third), 2);
}

#[test]
fn another_process_with_the_agents_id_waits_for_the_lease_of_the_first() {
    let (mut world, first, second, client) = two();
    world.ask(second, "xg", json!({"uuid": "b"})).unwrap();
    world.freeze(first);
    world.run(500);
    world.close(first);
    let session = world[first].uuid.clone();
    let heir = world.peer("heir", Rust);
    world[heir].agent = Some(AgentSim::new("a", Rust, &["k"]));
    world.connect(heir);
    world.register(heir);
    assert_eq!(starts(&mut world, heir), 0);
    world.run(SURELY);
    assert_eq!(starts(&mut world, heir), 1);
    assert_eq!(world.home(client, "u").as_deref(), Some("a"));
    // The first one finds its session to be another one, and registers in vain.
    world.thaw(first);
    assert_ne!(world.connect(first), session);
}

#[test]
fn the_session_that_an_agent_is_taken_from_prolongs_no_lease() {
    let (mut world, first, _, _) = two();
    // Silent for a while, so that another process may have its id; its connection stays.
    world.freeze(first);
    world.run(2_000);
    let session = world[first].uuid.clone();
    let heir = world.peer("heir", Rust);
    world[heir].agent = Some(AgentSim::new("a", Rust, &["k"]));
    world.connect(heir);
    world.register(heir);
    world.thaw(first);
    world[first].got.clear();
    world.say(first, Op::Ping, "", "7");
    let pongs: Vec<String> = world[first]
        .got
        .iter()
        .filter(|frame| frame.op == Op::Pong)
        .map(|frame| frame.id.clone())
        .collect();
    assert_eq!(pongs.len(), 1);
    assert_ne!(pongs[0], session);
}

#[test]
fn the_secret_is_what_makes_a_kind_exclusive() {
    let mut world = World::new();
    let stranger = world.client("s", Rust);
    assert!(
        world.ask(stranger, "ks", spec()).is_err(),
        "{SECRET} is not known to it"
    );
}

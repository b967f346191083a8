//! After a start: a kind of which nobody has told yet may be exclusive.

use serde_json::{Value, json};

use crate::support::{Peer, Rust, WALL, World, later, ms};

/// When this server has settled, in ms.
const SETTLED: u64 = 1_500;
/// When leases are over that another server may have given.
const FORMER: u64 = 3_750;

fn spec(exclusive: bool) -> Value {
    json!({"kind": "k", "revision": 1, "exclusive": exclusive})
}

/// A server that has just started, an agent that nobody has told anything, and a client that wants `u`.
fn waiting(fresh: bool) -> (World, Peer, String) {
    let mut world = World::starting(later());
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let get = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"fresh": fresh}});
    let get = world.request(client, "gg", get);
    (world, client, get)
}

fn until(world: &mut World, at: u64) {
    let left = ms(at) - world.now;
    world.run(u64::try_from(left.as_millis()).unwrap());
}

#[test]
fn what_is_asked_for_by_uuid_waits_for_former_leases() {
    let (mut world, client, get) = waiting(false);
    until(&mut world, FORMER - 1);
    assert_eq!(world.answer(client, &get), None);
    until(&mut world, FORMER);
    assert!(world.answer(client, &get).unwrap().is_ok());
    // Later there is nothing to wait for.
    world.get(client, "k", json!({"uuid": "v"}));
}

#[test]
fn what_is_asserted_again_waits_too() {
    let mut world = World::starting(later());
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let again = json!({"gets": [{"uuid": "u", "kind": "k", "request": {}, "epoch": [WALL - 9, 1],
        "agentId": "a", "failovers": 0}]});
    world.ask(client, "xr", again).unwrap();
    until(&mut world, FORMER - 1);
    assert_eq!(world.home(client, "u"), None);
    until(&mut world, FORMER);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn a_get_that_says_that_its_uuid_is_fresh_need_not_wait() {
    let (world, client, get) = waiting(true);
    assert!(world.answer(client, &get).unwrap().is_ok());
}

/// Another client has known the container.
#[test]
fn a_uuid_that_has_lived_is_not_fresh() {
    let mut world = World::starting(later());
    let client = world.client("c", Rust);
    let get = json!({"kind": "k", "request": {"uuid": "u"}, "huly": {"fresh": true}});
    world.request(client, "gg", get);
    let other = world.client("o", Rust);
    let again = json!({"gets": [{"uuid": "u", "kind": "k", "request": {"uuid": "u"},
        "epoch": [WALL - 9, 1], "agentId": "a", "failovers": 0}]});
    world.ask(other, "xr", again).unwrap();
    world.agent("b", Rust, &["k"]);
    until(&mut world, FORMER - 1);
    assert_eq!(world.home(client, "u"), None);
    until(&mut world, FORMER);
    assert_eq!(world.home(client, "u").as_deref(), Some("b"));
}

#[test]
fn an_agent_that_was_told_says_what_the_kind_is() {
    for (exclusive, placed) in [(false, SETTLED), (true, FORMER)] {
        let (mut world, client, get) = waiting(false);
        let told = world.peer("client-of-t", Rust);
        let mut sim = crate::support::AgentSim::new("t", Rust, &["k"]);
        sim.specs = json!([spec(exclusive)]);
        world[told].agent = Some(sim);
        world.connect(told);
        world.register(told);
        until(&mut world, placed - 1);
        assert_eq!(world.answer(client, &get), None, "{exclusive}");
        until(&mut world, placed);
        assert!(world.answer(client, &get).unwrap().is_ok(), "{exclusive}");
    }
}

#[test]
fn the_operator_says_what_the_kind_is() {
    // It sets the kind, or says that it has set all that there are.
    let words = [("ks", spec(false)), ("kr", json!({"kinds": []}))];
    for (method, params) in words {
        let (mut world, client, get) = waiting(false);
        until(&mut world, 2_000);
        assert_eq!(world.answer(client, &get), None, "{method}");
        let operator = world.operator();
        world.ask(operator, method, params).unwrap();
        let answer = world.answer(client, &get).expect(method);
        assert!(answer.is_ok(), "{method}");
    }
    let (mut world, client, get) = waiting(false);
    let operator = world.operator();
    world.ask(operator, "ks", spec(true)).unwrap();
    until(&mut world, FORMER - 1);
    assert_eq!(world.answer(client, &get), None);
    until(&mut world, FORMER);
    assert!(world.answer(client, &get).unwrap().is_ok());
}

#[test]
fn where_nobody_can_make_a_kind_exclusive_none_is() {
    let mut world = World::starting(huly_registry::Config {
        control_secret: None,
        ..later()
    });
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {"uuid": "u"}}));
    until(&mut world, SETTLED);
    assert!(world.answer(client, &get).unwrap().is_ok());
}

#[test]
fn what_is_asked_for_without_a_uuid_has_never_lived() {
    let mut world = World::starting(later());
    world.agent("b", Rust, &["k"]);
    let client = world.client("c", Rust);
    let get = world.request(client, "gg", json!({"kind": "k", "request": {}}));
    until(&mut world, SETTLED);
    assert!(world.answer(client, &get).unwrap().is_ok());
}

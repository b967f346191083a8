//! Whose word of a kind's specification holds.

use serde_json::{Value, json};

use crate::support::{Peer, Rust, World};

fn spec(revision: u64) -> Value {
    json!({"kind": "k", "revision": revision})
}

fn known(world: &mut World, asker: Peer) -> Value {
    world.ask(asker, "kl", json!({})).unwrap()[0]["revision"].clone()
}

#[test]
fn the_operators_last_word_holds_whatever_its_revision() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.ask(operator, "ks", spec(9)).unwrap();
    world.ask(operator, "ks", spec(8)).unwrap();
    assert_eq!(known(&mut world, operator), 8);
    assert_eq!(world[agent].sim().specs[0]["revision"], 8);
    // Kubernetes' state was restored, and the operator begins again.
    world.close(operator);
    world[operator].nonce = "another process".into();
    world.connect(operator);
    world.ask(operator, "ks", spec(7)).unwrap();
    assert_eq!(known(&mut world, operator), 7);
    assert_eq!(world[agent].sim().specs[0]["revision"], 7);
}

#[test]
fn an_agent_that_brings_a_higher_revision_is_told_the_operators() {
    let mut world = World::new();
    let agent = world.agent("a", Rust, &["k"]);
    let operator = world.operator();
    world.ask(operator, "ks", spec(8)).unwrap();
    world[agent].sim().specs = json!([spec(9)]);
    world.register(agent);
    assert_eq!(known(&mut world, operator), 8);
    assert_eq!(world[agent].sim().specs[0]["revision"], 8);
}

#[test]
fn what_is_sent_again_undoes_no_later_word() {
    for removed in [false, true] {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let operator = world.operator();
        world[agent].sim().mute = vec!["ks", "kr"];
        world.ask(operator, "ks", spec(1)).unwrap();
        match removed {
            true => world.ask(operator, "kr", json!({"kinds": []})),
            false => world.ask(operator, "ks", spec(2)),
        }
        .unwrap();
        let later = world[agent].sim().calls[1].clone();
        world[agent].sim().mute.clear();
        world.answer_call(agent, &later);
        let before = world[agent].sim().calls.len();
        world.reconnect(agent);
        let again = &world[agent].sim().calls[before..];
        assert_eq!(again.len(), 1, "{again:?}");
        match removed {
            true => assert_eq!(world[agent].sim().specs, json!([])),
            false => assert_eq!(world[agent].sim().specs[0]["revision"], 2),
        }
    }
}

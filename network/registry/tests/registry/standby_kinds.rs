//! Stateless uuids that kinds name, and what of standbys is counted and listed.

use serde_json::{Value, json};

use crate::standby::{LEADER, home, standby, standbys};
use crate::support::{AgentSim, Rust, World, config};

#[test]
fn a_uuid_that_a_kind_names_waits_for_a_standby() {
    let mut world = World::new();
    let operator = world.operator();
    let agent = world.agent("a", Rust, &["service"]);
    let spec = json!({"kind": "service", "revision": 1, "statelessUuid": LEADER,
        "agentSelector": {"matchLabels": {"zone": "1"}}});
    world.ask(operator, "ks", spec.clone()).unwrap();
    assert_eq!(world[agent].sim().called("ks").len(), 1);
    assert_eq!(standbys(&world), 0, "a figure from the first");
    let get = json!({"kind": "service", "request": {"uuid": LEADER}});
    let error = world.ask(operator, "gg", get.clone()).unwrap_err();
    assert_eq!(
        error["rejections"],
        json!([{"reason": "SelectorMismatch", "agents": 1}])
    );
    world[agent].sim().labels = json!({"zone": "1"});
    world.register(agent);
    let error = world.ask(operator, "gg", get.clone()).unwrap_err();
    assert_eq!(
        error["rejections"],
        json!([{"reason": "NoStandby", "agents": 1}])
    );
    assert_eq!(world[agent].sim().called("gg").len(), 0);

    world[agent].sim().stand_by(LEADER, "service");
    world.register(agent);
    assert_eq!(home(&mut world, operator), "a");
    world.ask(operator, "gg", get).unwrap();
    world.ask(operator, "cr", json!({"uuid": LEADER})).unwrap();
    world.run(20_000);
    assert_eq!(home(&mut world, operator), "a", "nobody's leaving ends it");
    // Containers of the kind under other uuids are as of any kind.
    world.get(operator, "service", json!({"uuid": "another"}));

    // The kind is deleted: it is a container as any other now.
    world.ask(operator, "kr", json!({"kinds": []})).unwrap();
    world.run(6_000);
    assert_eq!(home(&mut world, operator), "");
}

/// The specification that a container was placed with stays when its kind is deleted. No agent makes
/// containers beforehand any more, so it is placed as any other.
#[test]
fn a_held_uuid_of_a_deleted_kind_is_placed_again() {
    let mut world = World::new();
    let operator = world.operator();
    let agents = ["a", "b"].map(|id| world.agent(id, Rust, &["service"]));
    let spec = json!({"kind": "service", "revision": 1, "statelessUuid": LEADER});
    world.ask(operator, "ks", spec).unwrap();
    world[agents[0]].sim().stand_by(LEADER, "service");
    world.register(agents[0]);
    world.get(operator, "service", json!({"uuid": LEADER}));
    world.ask(operator, "kr", json!({"kinds": []})).unwrap();
    world.close(agents[0]);
    world.run(1_000);
    assert_eq!(home(&mut world, operator), "b");
}

#[test]
fn standbys_are_no_containers() {
    let mut world = World::new();
    for id in ["a", "b"] {
        standby(&mut world, id, Rust);
    }
    let asker = world.client("asker", Rust);
    let listed = world.ask(asker, "cl", json!({})).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["huly"]["stateless"], "Owner");
    let agents = world.ask(asker, "al", json!({})).unwrap();
    let figures = |index: usize| {
        let agent = &agents[index];
        let huly = &agent["huly"];
        (
            agent["containers"].clone(),
            huly["containersByKind"].clone(),
            huly["standbysByKind"].clone(),
        )
    };
    assert_eq!(figures(0), (json!(1), json!({"service": 1}), Value::Null));
    assert_eq!(figures(1), (json!(0), Value::Null, json!({"service": 1})));
    // Nobody who asks for one of the kind without its uuid gets it.
    let error = world
        .ask(asker, "gg", json!({"kind": "service"}))
        .unwrap_err();
    assert_eq!(error["code"], "noSuchKind");
}

#[test]
fn what_stands_by_takes_no_room_of_gets_that_wait() {
    let mut world = World::starting(config());
    let agent = world.peer("client-of-a", Rust);
    let mut sim = AgentSim::new("a", Rust, &["k"]);
    sim.stand_by(LEADER, "k");
    world[agent].agent = Some(sim);
    world.connect(agent);
    world.register(agent);
    assert_eq!(world.registry.snapshot().held, (0, 0));
}

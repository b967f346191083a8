//! Containers that are made beforehand: they stand by and own their uuid.

mod made_again;
mod specified;

use super::super::Role;
use super::*;

const LEADER: &str = "leader";

/// An agent that makes one beforehand, of a kind that it does not serve otherwise.
fn with_standby() -> (Rig, Run) {
    let mut rig = Rig::with(|config| {
        config.stateless = [(LEADER.to_owned(), "service".to_owned())].into();
    });
    rig.input(Input::Wake);
    let run = rig.last_start();
    (rig, run)
}

/// One that is registered at a server of ours, which lets it stand by.
fn standing_by() -> (Rig, Run) {
    let (mut rig, run) = with_standby();
    started(&mut rig, run);
    rig.register_and_renew();
    (rig, run)
}

fn started(rig: &mut Rig, run: Run) {
    let result = Ok(());
    rig.input(Input::Started { run, result });
}

/// The server chooses the agent.
fn chosen(rig: &mut Rig, epoch: u64) -> Token {
    rig.call(
        "gg",
        json!(["service", { "uuid": LEADER, "labels": ["l"], "extra": { "x": 1 } }]),
        json!({ "epoch": [10, epoch] }),
    )
}

/// One that has the uuid.
fn owning() -> (Rig, Run) {
    let (mut rig, run) = standing_by();
    let token = chosen(&mut rig, 3);
    started(&mut rig, run);
    rig.answer(token).unwrap();
    rig.out.clear();
    (rig, run)
}

/// What the last registration says of the uuid; null if it does not name it.
fn record(rig: &mut Rig) -> Value {
    let registrations = rig.registrations();
    let last = registrations.last().expect("a registration");
    let ours = last.containers.iter().find(|record| record.uuid == LEADER);
    serde_json::to_value(ours).unwrap()
}

#[test]
fn it_is_made_before_the_agent_registers_and_listed() {
    let (mut rig, run) = with_standby();
    assert!(rig.has(|effect| matches!(
        effect,
        Effect::Start { seed, .. } if seed.role == Role::Standby && seed.epoch.is_none()
    )));
    started(&mut rig, run);
    rig.input(Input::Register);
    let registration = &rig.registrations()[0];
    assert!(!registration.kinds.contains(&"service".to_owned()));
    let record = record(&mut rig);
    assert_eq!(record["kind"], "service");
    assert_eq!(record["huly"]["stateless"], "Standby");
    assert_eq!(record["huly"]["epoch"], Value::Null);
    let figures = rig.agent.figures();
    assert_eq!(figures.containers.values().sum::<usize>(), 0);
    assert_eq!(figures.standbys["service"], 1);
}

#[test]
fn one_that_is_made_late_is_registered_as_soon() {
    let (mut rig, run) = with_standby();
    rig.register_and_renew();
    started(&mut rig, run);
    rig.pass_leased(100 * MS);
    assert_eq!(record(&mut rig)["uuid"], LEADER);
}

#[test]
fn an_agent_is_known_once_all_that_it_makes_beforehand_is_registered() {
    let (mut rig, run) = with_standby();
    assert!(!rig.agent.is_known());
    rig.register_and_renew();
    assert!(!rig.agent.is_known(), "its standby has not started");
    started(&mut rig, run);
    assert!(!rig.agent.is_known(), "its standby is not registered");
    rig.pass_leased(100 * MS);
    assert!(!rig.agent.is_known(), "that is not answered");
    rig.input(Input::Registered { end: Vec::new() });
    assert!(rig.agent.is_known());
    rig.input(Input::Down);
    assert!(!rig.agent.is_known());
}

#[test]
fn a_standby_takes_no_requests_and_no_clients() {
    let (mut rig, _) = standing_by();
    let token = rig.request(LEADER, json!(1), "r1");
    assert_eq!(rig.code(token), ErrorCode::Gone);
    rig.rust_hello("conn", "c");
    let sent = rig.ask("conn", "r2", LEADER, Value::Null);
    assert_eq!(sent_code(&sent), ErrorCode::Gone);
    let connect = json!(["cc", { "uuid": LEADER }]).to_string();
    let sent = rig.message("conn", Op::Request, "r3", &connect);
    assert_eq!(sent[0].1.payload_text(), "0");
    let list = rig.call("cl", json!([]), Value::Null);
    assert_eq!(rig.answer(list).unwrap(), json!([]));
    assert!(rig.dispatched().is_empty());
}

#[test]
fn the_chosen_one_takes_requests_once_it_says_that_it_is_ready() {
    let (mut rig, run) = standing_by();
    let token = chosen(&mut rig, 3);
    assert!(rig.starts().is_empty(), "it is there already");
    assert!(rig.has(|effect| matches!(
        effect,
        Effect::Activate { run: of, seed } if *of == run
            && seed.epoch == Some((10, 3).into()) && seed.labels == ["l"] && seed.extra.is_some()
    )));
    rig.request(LEADER, json!(1), "r1");
    assert!(rig.dispatched().is_empty() && rig.answered(token).is_none());
    started(&mut rig, run);
    let endpoint: Value =
        serde_json::from_str(rig.answer(token).unwrap()[1].as_str().unwrap()).unwrap();
    assert_eq!(endpoint["epoch"], json!([10, 3]));
    assert_eq!(rig.dispatched().len(), 1);
    let figures = rig.agent.figures();
    assert_eq!(
        (figures.containers["service"], figures.standbys["service"]),
        (1, 0)
    );
    // It keeps the uuid at the next server.
    rig.input(Input::Register);
    let record = record(&mut rig);
    assert_eq!(record["huly"]["stateless"], "Owner");
    assert_eq!(record["huly"]["epoch"], json!([10, 3]));
    assert_eq!(record["labels"], json!(["l"]));
}

#[test]
fn at_an_original_server_the_first_to_register_has_the_uuid() {
    let (mut rig, run) = with_standby();
    started(&mut rig, run);
    rig.input(Input::Register);
    rig.input(Input::Server { original: true });
    let end = vec![LEADER.to_owned()];
    rig.input(Input::Registered { end });
    assert!(rig.activated().is_empty(), "another was first");
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. })));
    // Others' containers are of no concern.
    rig.out.clear();
    let gone = |uuid: &str| Input::Removed {
        containers: vec!["another".into(), uuid.into()],
    };
    rig.input(gone("unknown"));
    rig.pass(Duration::from_secs(1));
    assert!(rig.registrations().is_empty());
    // Its owner is gone: after 100 ms it registers, and the answer does not name it.
    rig.input(gone(LEADER));
    rig.pass(50 * MS);
    assert!(rig.registrations().is_empty());
    rig.pass(50 * MS);
    assert_eq!(record(&mut rig)["uuid"], LEADER);
    rig.input(Input::Server { original: true });
    rig.input(Input::Registered { end: Vec::new() });
    assert_eq!(rig.activated(), [run]);
    started(&mut rig, run);
    rig.request(LEADER, json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
    // Registered again, it has it still.
    rig.out.clear();
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    assert!(rig.activated().is_empty());
    // Another was first at the next server: it has served, so it ends.
    rig.input(Input::Register);
    let end = vec![LEADER.to_owned()];
    rig.input(Input::Registered { end });
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
}

/// It stood by, and has the uuid: one life, pinged once in each interval, also where a ping was due
/// while it got ready.
#[test]
fn it_is_pinged_once_in_each_interval_all_its_life() {
    for takes in [0, 20] {
        let (mut rig, run) = standing_by();
        let pings = |rig: &mut Rig, seconds: u64| {
            rig.out.clear();
            rig.pass_leased(Duration::from_secs(seconds));
            let pinged =
                |effect: &&Effect| matches!(effect, Effect::Ping { run: of, .. } if *of == run);
            rig.out.iter().filter(pinged).count()
        };
        assert_eq!(pings(&mut rig, 30), 3);
        chosen(&mut rig, 3);
        assert_eq!(pings(&mut rig, takes), 0, "it is busy with that");
        rig.input(Input::Started {
            run,
            result: Ok(()),
        });
        assert_eq!(pings(&mut rig, 30), 3, "after {takes} s");
    }
}

/// One with a ROUTER of its own answers nobody before it has the uuid, and keeps the ROUTER.
#[test]
fn at_its_own_router_it_stands_by_too() {
    let (mut rig, run) = with_standby();
    rig.input(Input::Opened { run, port: 4_000 });
    started(&mut rig, run);
    rig.register_and_renew();
    let door = Door::Container(run);
    let hello = r#"{"aliveTimeout":60,"huly":{"v":1,"nonce":"n"}}"#;
    rig.message_at(door, "x", Op::Hello, "c1", hello);
    let sent = rig.message_at(door, "x", Op::Request, "r1", r#"["do",1]"#);
    assert_eq!(sent_code(&sent), ErrorCode::Gone);
    let connected = |effect: &Effect| matches!(effect, Effect::Connected { .. });
    assert!(!rig.has(connected));

    let token = chosen(&mut rig, 3);
    started(&mut rig, run);
    let told = rig.answer(token).unwrap();
    let endpoint: Value = serde_json::from_str(told[1].as_str().unwrap()).unwrap();
    assert_eq!(
        (&endpoint["kind"], &endpoint["port"], &endpoint["epoch"]),
        (&json!(1), &json!(4_000), &json!([10, 3]))
    );
    assert!(rig.has(connected), "who is there is told now");
    rig.message_at(door, "x", Op::Request, "r2", r#"["do",1]"#);
    assert_eq!(rig.dispatched().len(), 1);
}

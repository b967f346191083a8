//! Those that a kind's specification asks for.

use super::*;

fn specify(rig: &mut Rig, spec: Value) {
    rig.call("ks", json!([spec]), Value::Null);
}

/// An agent with a standby that a specification asked for, and that one.
fn standing_by() -> (Rig, Run) {
    let mut rig = Rig::registered();
    specify(
        &mut rig,
        json!({"kind": "echo", "revision": 1, "statelessUuid": LEADER}),
    );
    let run = rig.last_start();
    started(&mut rig, run);
    (rig, run)
}

#[test]
fn a_specification_asks_for_a_standby_of_a_kind_that_is_served() {
    let mut rig = Rig::with(|config| {
        config.labels = [("zone".to_owned(), "1".to_owned())].into();
    });
    rig.register_and_renew();
    let of_zone = |kind: &str, revision: u64, zone: &str| {
        json!({"kind": kind, "revision": revision, "statelessUuid": LEADER,
            "agentSelector": {"matchLabels": {"zone": zone}}})
    };
    specify(&mut rig, of_zone("unserved", 1, "1"));
    specify(&mut rig, of_zone("echo", 1, "2"));
    assert!(rig.starts().is_empty());
    specify(&mut rig, of_zone("echo", 2, "1"));
    let run = rig.last_start();
    started(&mut rig, run);
    rig.pass_leased(100 * MS);
    assert_eq!(record(&mut rig)["huly"]["stateless"], "Standby");
    // Said again, it changes nothing.
    specify(&mut rig, of_zone("echo", 3, "1"));
    assert_eq!(rig.starts(), [run]);

    // The selector does not select the agent any more: it ends, and the server is told.
    specify(&mut rig, of_zone("echo", 4, "2"));
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    rig.ended(run, EndReport::Stopped);
    assert!(rig.has(|effect| matches!(effect, Effect::Update(_))));
    rig.out.clear();
    rig.pass_leased(Duration::from_secs(1));
    assert!(rig.starts().is_empty());
}

#[test]
fn an_owner_outlives_the_specification() {
    let (mut rig, run) = standing_by();
    let token = rig.get(LEADER, 3);
    started(&mut rig, run);
    rig.answer(token).unwrap();
    rig.out.clear();
    rig.call("kr", json!(["echo"]), Value::Null);
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. })));
    rig.pass_leased(100 * MS);
    assert_eq!(
        record(&mut rig)["huly"]["stateless"],
        Value::Null,
        "as any other"
    );
    rig.ended(run, EndReport::ByItself);
    rig.out.clear();
    rig.pass_leased(Duration::from_secs(1));
    assert!(rig.starts().is_empty());
}

/// It has nothing that the uuid has to wait for.
#[test]
fn a_standby_that_is_being_ended_is_not_registered() {
    let (mut rig, run) = standing_by();
    rig.call("kr", json!(["echo"]), Value::Null);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    rig.input(Input::Register);
    let registrations = rig.registrations();
    let last = registrations.last().expect("a registration");
    assert!(last.containers.is_empty());
    assert!(
        last.huly
            .as_ref()
            .expect("an extension")
            .stopping
            .is_empty()
    );
}

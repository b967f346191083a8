use super::*;

/// Nobody answers what the agent says, and each word fails by itself.
fn words_fail(rig: &mut Rig, count: u32, each: Duration) {
    for _ in 0..count {
        rig.input(Input::RegisterFailed);
        rig.pass_leased(each);
    }
}

#[test]
fn whatever_fails_meanwhile_the_agent_registers_once_more() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let before = rig.agent.sizes().deadlines;
    for _ in 0..2 {
        words_fail(&mut rig, 100, 9 * MS);
        assert!(rig.registrations().is_empty(), "it is too soon");
        assert_eq!(rig.agent.sizes().deadlines, before + 1);
        rig.pass_leased(5_000 * MS);
        assert_eq!(rig.registrations().len(), 1);
        rig.take();
        rig.input(Input::Registered { end: Vec::new() });
    }
}

#[test]
fn what_fails_later_postpones_no_registration() {
    let mut rig = Rig::registered();
    // Due a second after the first, the fourth and so on: each third is the last before that.
    words_fail(&mut rig, 30, 400 * MS);
    assert_eq!(rig.registrations().len(), 10);
}

#[test]
fn a_registration_for_what_has_started_is_the_next_try_too() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let run = rig.last_start();
    // The start's own answer belongs to a session that is over.
    rig.register_and_renew();
    rig.input(Input::RegisterFailed);
    let result = Ok(());
    rig.input(Input::Started { run, result });
    rig.pass_leased(200 * MS);
    let registrations = rig.registrations();
    assert_eq!(registrations.len(), 1);
    assert_eq!(registrations[0].containers[0].uuid, "u");
    rig.pass_leased(5_000 * MS);
    assert_eq!(rig.registrations().len(), 1, "there is nothing else to say");
}

#[test]
fn who_registers_for_another_reason_does_not_try_again_for_what_failed() {
    let mut rig = Rig::registered();
    rig.input(Input::RegisterFailed);
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    rig.pass_leased(5_000 * MS);
    assert_eq!(rig.registrations().len(), 1);
}

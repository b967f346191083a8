use super::*;

fn removed(rig: &Rig) -> Vec<String> {
    let update = |effect: &Effect| match effect {
        Effect::Update(event) => Some(
            event
                .containers
                .iter()
                .map(|change| change.container.uuid.clone())
                .collect::<Vec<_>>(),
        ),
        _ => None,
    };
    rig.out.iter().filter_map(update).flatten().collect()
}

#[test]
fn ct_ends_a_container_and_is_answered_then() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    let running = rig.request("u", json!(1), "r1");
    let token = rig.call("ct", json!(["u"]), json!({ "epoch": [10, 1] }));
    let twice = rig.call("ct", json!(["u"]), json!({ "epoch": [10, 1] }));
    assert!(rig.answered(token).is_none());
    assert!(rig.answered(running).is_none(), "it may finish");
    let late = rig.request("u", json!(2), "r2");
    assert_eq!(rig.code(late), ErrorCode::Gone);
    let busy = rig.get("u", 1);
    assert_eq!(rig.code(busy), ErrorCode::Busy);
    let text = rig.answer(busy).unwrap_err().message;
    assert!(text.contains("still stopping on agent-1"), "{text}");
    rig.ended(run, EndReport::Stopped);
    assert_eq!(rig.answer(token), Ok(json!("")));
    assert_eq!(rig.answer(twice), Ok(json!("")));
    assert_eq!(rig.code(running), ErrorCode::OutcomeUnknown);
    assert!(removed(&rig).is_empty(), "the server knows");
    let gone = rig.call("ct", json!(["u"]), Value::Null);
    assert_eq!(rig.answer(gone), Ok(json!("")));
}

#[test]
fn ct_of_a_lower_epoch_is_refused() {
    let mut rig = Rig::registered();
    rig.living("u", 5);
    let token = rig.call("ct", json!(["u"]), json!({ "epoch": [10, 4] }));
    assert_eq!(rig.code(token), ErrorCode::Gone);
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. })));
}

#[test]
fn ct_while_it_starts_interrupts_the_get() {
    let mut rig = Rig::registered();
    let get = rig.get("u", 1);
    let run = rig.last_start();
    rig.call("ct", json!(["u"]), Value::Null);
    assert_eq!(rig.code(get), ErrorCode::Interrupted);
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    rig.ended(run, EndReport::Stopped);
    assert!(
        rig.agent
            .figures()
            .containers
            .values()
            .all(|count| *count == 0)
    );
}

#[test]
fn an_end_that_takes_longer_than_the_grace_is_forced() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.call("ct", json!(["u"]), Value::Null);
    rig.pass_leased(9_900 * MS);
    assert!(!rig.has(|effect| matches!(effect, Effect::Abort { .. })));
    rig.pass_leased(200 * MS);
    assert!(rig.has(|effect| matches!(effect, Effect::Abort { run: of } if *of == run)));
    // It is there until it has really ended.
    let busy = rig.get("u", 2);
    assert_eq!(rig.code(busy), ErrorCode::Busy);
}

#[test]
fn a_panic_is_reported_and_its_requests_fail() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.living("v", 2);
    let token = rig.request("u", json!(1), "r1");
    rig.ended(run, EndReport::Panicked("boom".to_owned()));
    assert_eq!(removed(&rig), ["u"]);
    assert_eq!(rig.code(token), ErrorCode::OutcomeUnknown);
    assert!(rig.answer(token).unwrap_err().message.contains("boom"));
    rig.request("v", json!(1), "r2");
    assert!(!rig.dispatched().is_empty(), "the other one goes on");
}

#[test]
fn the_agent_leaves_container_by_container() {
    let mut rig = Rig::with(|config| config.drain_at_once = 1);
    rig.register_and_renew();
    let (a, b) = (rig.living("a", 1), rig.living("b", 2));
    rig.input(Input::Drain);
    assert!(rig.has(|effect| matches!(effect, Effect::AnnounceDrain)));
    let refused = rig.get("c", 3);
    assert_eq!(rig.code(refused), ErrorCode::Busy);
    rig.request("b", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1, "the others serve on");
    rig.ended(a, EndReport::Stopped);
    assert_eq!(removed(&rig), ["a"]);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run } if *run == b)));
    assert!(!rig.has(|effect| matches!(effect, Effect::Drained)));
    rig.ended(b, EndReport::Stopped);
    assert_eq!(removed(&rig), ["a", "b"]);
    assert!(rig.has(|effect| matches!(effect, Effect::Drained)));
}

#[test]
fn a_fresh_session_is_told_what_is_still_being_ended() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.living("v", 2);
    rig.call("ct", json!(["u"]), json!({ "epoch": [10, 1] }));
    rig.input(Input::Register);
    let said = rig.registrations().pop().unwrap();
    let uuids = |records: &[huly_protocol::ContainerRecord]| -> Vec<String> {
        records.iter().map(|record| record.uuid.clone()).collect()
    };
    let stopping = said.huly.unwrap().stopping;
    assert_eq!(
        (uuids(&said.containers), uuids(&stopping)),
        (vec!["v".into()], vec!["u".into()])
    );
    assert_eq!(
        stopping[0].huly.as_ref().unwrap().epoch,
        Some((10, 1).into())
    );
    // The server of that session asks for the end, too, and hears of it.
    rig.input(Input::Registered { end: Vec::new() });
    let token = rig.call("ct", json!(["u"]), json!({ "epoch": [10, 1] }));
    assert!(rig.answered(token).is_none());
    rig.ended(run, EndReport::Stopped);
    assert_eq!(rig.answer(token), Ok(json!("")));
    rig.take();
    rig.input(Input::Register);
    let said = rig.registrations().pop().unwrap();
    assert!(said.huly.unwrap().stopping.is_empty());
}

/// The server that asked for the next life is gone: where it is to be is the new one's to say.
#[test]
fn what_was_to_follow_ends_with_what_is_being_ended() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    let next = rig.get("u", 2);
    rig.input(Input::Register);
    let said = rig.registrations().pop().unwrap();
    let epoch = said.huly.unwrap().stopping[0].huly.as_ref().unwrap().epoch;
    assert_eq!(epoch, Some((10, 2).into()));
    rig.call("ct", json!(["u"]), json!({ "epoch": [10, 2] }));
    assert_eq!(rig.code(next), ErrorCode::Interrupted);
    rig.take();
    rig.ended(run, EndReport::Stopped);
    assert!(rig.starts().is_empty());
}

#[test]
fn the_application_ends_a_container_of_its_agent() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    let token = Token(77);
    let uuid = "u".to_owned();
    rig.input(Input::Terminate { token, uuid });
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    assert!(rig.answered(token).is_none());
    rig.ended(run, EndReport::Stopped);
    assert_eq!(rig.answer(token), Ok(json!("")));
    assert_eq!(removed(&rig), ["u"], "the server does not know yet");
    let ended = |effect: &Effect| match effect {
        Effect::Changed(AgentUpdate::Ended(ended)) => Some(ended.clone()),
        _ => None,
    };
    let ended = rig.out.iter().find_map(ended).unwrap();
    assert_eq!((&*ended.uuid, ended.reason), ("u", Reason::TerminatedHere));
    let token = Token(78);
    let uuid = "u".to_owned();
    rig.input(Input::Terminate { token, uuid });
    assert_eq!(rig.code(token), ErrorCode::NoSuchContainer);
}

#[test]
fn leaving_has_a_limit() {
    let mut rig = Rig::with(|config| {
        config.drain_at_once = 1;
        config.drain_timeout = 3_000 * MS;
    });
    rig.register_and_renew();
    let (a, b, c) = (rig.living("a", 1), rig.living("b", 2), rig.living("c", 3));
    let waiting = rig.request("c", json!(1), "r1");
    rig.input(Input::Drain);
    rig.pass_leased(2_900 * MS);
    rig.ended(a, EndReport::Stopped);
    let aborted = |rig: &Rig, run: Run| {
        rig.has(|effect| matches!(effect, Effect::Abort { run: of } if *of == run))
    };
    assert!(!aborted(&rig, b) && !aborted(&rig, c));
    rig.pass_leased(100 * MS);
    assert!(aborted(&rig, b) && aborted(&rig, c));
    assert!(
        !rig.has(|effect| matches!(effect, Effect::Drained)),
        "they have a moment"
    );
    rig.ended(c, EndReport::Aborted);
    assert_eq!(removed(&rig), ["a", "c"]);
    assert_eq!(rig.code(waiting), ErrorCode::OutcomeUnknown);
    // The other blocks its worker.
    rig.pass_leased(900 * MS);
    assert!(!rig.has(|effect| matches!(effect, Effect::Drained)));
    rig.pass_leased(100 * MS);
    assert!(rig.has(|effect| matches!(effect, Effect::Drained)));
    rig.take();
    rig.ended(b, EndReport::Stopped);
    assert!(!rig.has(|effect| matches!(effect, Effect::Drained)), "once");
}

#[test]
fn an_agent_without_containers_leaves_at_once() {
    let mut rig = Rig::registered();
    rig.input(Input::Drain);
    rig.input(Input::Drain);
    let drained = rig.take();
    let count = drained
        .iter()
        .filter(|e| matches!(e, Effect::Drained))
        .count();
    assert_eq!(count, 1);
}

#[test]
fn nothing_else_ends_a_container() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.input(Input::Down);
    rig.pass(120_000 * MS);
    rig.input(Input::RegisterFailed);
    rig.pass(2_000 * MS);
    assert!(!rig.registrations().is_empty(), "it tries again");
    rig.pause(120_000 * MS);
    rig.input(Input::Register);
    rig.pass(60_000 * MS);
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. } | Effect::Abort { .. })));
    assert_eq!(rig.registrations().last().unwrap().containers.len(), 1);
}

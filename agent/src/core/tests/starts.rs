use super::*;

#[test]
fn a_get_starts_a_container_and_answers_its_endpoint() {
    let mut rig = Rig::registered();
    let token = rig.call(
        "gg",
        json!(["echo", { "uuid": "u", "labels": ["a"], "extra": { "x": 1 } }]),
        json!({ "epoch": [10, 3], "holders": ["op"], "firstClient": "c", "byUuid": true, "failovers": 2 }),
    );
    assert!(rig.answered(token).is_none());
    let run = rig.last_start();
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    let answer = rig.answer(token).unwrap();
    assert_eq!(answer[0], "u");
    let endpoint: Value = serde_json::from_str(answer[1].as_str().unwrap()).unwrap();
    assert_eq!(
        endpoint,
        json!({ "kind": 0, "host": "10.0.0.1", "port": 3738, "agentId": "agent-1", "uuid": "u", "epoch": [10, 3] })
    );
    rig.input(Input::Register);
    let registration = &rig.registrations()[0];
    let record = serde_json::to_value(&registration.containers[0]).unwrap();
    assert_eq!(record["kind"], "echo");
    assert_eq!(record["labels"], json!(["a"]));
    assert_eq!(record["extra"], json!({ "x": 1 }));
    assert_eq!(record["huly"]["epoch"], json!([10, 3]));
    assert_eq!(record["huly"]["holders"], json!(["op"]));
    assert_eq!(record["huly"]["firstClient"], "c");
    assert_eq!(record["huly"]["failovers"], 2);
    assert_eq!(record["huly"]["byUuid"], true);
}

#[test]
fn gets_of_one_epoch_share_the_start() {
    let mut rig = Rig::registered();
    let (first, second) = (rig.get("u", 1), rig.get("u", 1));
    assert_eq!(rig.starts().len(), 1);
    let run = rig.last_start();
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    assert_eq!(rig.answer(first), rig.answer(second));
    // One without an epoch finds it, too, whatever the kind (W13).
    let third = rig.call("gg", json!(["counter", { "uuid": "u" }]), Value::Null);
    assert_eq!(rig.answer(third), rig.answer(first));
    assert_eq!(rig.starts().len(), 1);
}

#[test]
fn a_higher_epoch_ends_the_old_copy_and_starts_anew() {
    let mut rig = Rig::registered();
    let old = rig.living("u", 1);
    rig.request("u", json!(1), "r1");
    let token = rig.get("u", 2);
    assert!(rig.starts().is_empty(), "not beside the old one");
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run } if *run == old)));
    rig.ended(old, EndReport::Stopped);
    let new = rig.last_start();
    assert_ne!(new, old);
    rig.input(Input::Started {
        run: new,
        result: Ok(()),
    });
    assert!(rig.answer(token).is_ok());
    assert!(!rig.has(|effect| matches!(effect, Effect::Update(_))));
    // A late report of the old life changes nothing.
    rig.ended(old, EndReport::ByItself);
    let again = rig.get("u", 2);
    assert!(rig.answer(again).is_ok());
}

#[test]
fn a_lower_epoch_is_refused() {
    let mut rig = Rig::registered();
    rig.living("u", 5);
    let token = rig.get("u", 4);
    assert_eq!(rig.code(token), ErrorCode::Gone);
}

#[test]
fn a_lower_term_is_refused() {
    let mut rig = Rig::registered();
    rig.input(Input::Term(11));
    let token = rig.get("u", 1);
    assert_eq!(rig.code(token), ErrorCode::Superseded);
    assert!(rig.starts().is_empty());
}

#[test]
fn a_kind_that_is_not_served_is_refused() {
    let mut rig = Rig::registered();
    let token = rig.call("gg", json!(["other", { "uuid": "u" }]), Value::Null);
    assert_eq!(rig.code(token), ErrorCode::NoSuchKind);
}

#[test]
fn without_a_uuid_labels_find_a_container_and_no_uuid_is_made_twice() {
    let mut rig = Rig::registered();
    let first = rig.call("gg", json!(["echo", { "labels": ["a", "b"] }]), Value::Null);
    let run = rig.last_start();
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    let found = rig.call("gg", json!(["echo", { "labels": ["b"] }]), Value::Null);
    assert_eq!(rig.answer(found), rig.answer(first));
    let other = rig.call("gg", json!(["echo", { "labels": ["c"] }]), Value::Null);
    let run = rig.last_start();
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    assert_ne!(rig.answer(other).unwrap()[0], rig.answer(first).unwrap()[0]);
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    let mut rig = Rig::registered();
    let token = rig.get("u", 1);
    let run = rig.last_start();
    let cause = ErrorPayload::new(ErrorCode::Failed, "no disk");
    rig.input(Input::Started {
        run,
        result: Err(cause),
    });
    let error = rig.answer(token).unwrap_err();
    assert!(error.message.contains("no disk"), "{error}");
    rig.ended(run, EndReport::Stopped);
    assert!(!rig.has(|effect| matches!(effect, Effect::Update(_))));
    rig.get("u", 2);
    assert_eq!(rig.starts().len(), 2);
}

#[test]
fn a_start_that_takes_too_long_fails_and_the_uuid_is_busy_until_it_ends() {
    let mut rig = Rig::registered();
    let token = rig.call(
        "gg",
        json!(["echo", { "uuid": "u" }]),
        json!({ "epoch": [10, 1], "spec": { "kind": "echo", "revision": 1, "startTimeoutMs": 2000 } }),
    );
    let run = rig.last_start();
    rig.pass_leased(1_900 * MS);
    assert!(rig.answered(token).is_none());
    rig.pass_leased(200 * MS);
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
    assert!(rig.has(|effect| matches!(effect, Effect::Abort { run: of } if *of == run)));
    let busy = rig.get("u", 1);
    assert_eq!(rig.code(busy), ErrorCode::Busy);
    rig.ended(run, EndReport::Aborted);
    rig.get("u", 1);
    assert_eq!(rig.starts().len(), 2);
}

#[test]
fn a_panic_while_starting_is_the_gets_error() {
    let mut rig = Rig::registered();
    let token = rig.get("u", 1);
    let run = rig.last_start();
    rig.ended(run, EndReport::Panicked("boom".to_owned()));
    let error = rig.answer(token).unwrap_err();
    assert!(error.message.contains("boom"), "{error}");
}

#[test]
fn requests_wait_for_the_start_in_order() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let run = rig.last_start();
    for number in 0..3 {
        rig.request("u", json!(number), &format!("r{number}"));
    }
    assert!(rig.dispatched().is_empty());
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    let data: Vec<Value> = rig.dispatched().into_iter().map(|one| one.2).collect();
    assert_eq!(data, [json!(0), json!(1), json!(2)]);
}

#[test]
fn specifications_are_kept_as_the_server_says_last_and_repeated() {
    let mut rig = Rig::registered();
    rig.call("ks", json!([{ "kind": "echo", "revision": 2, "maxPerAgent": 9 }, { "kind": "x", "revision": 1 }]), Value::Null);
    rig.call(
        "ks",
        json!([{ "kind": "echo", "revision": 1, "maxPerAgent": 5 }]),
        Value::Null,
    );
    rig.call("kr", json!(["x"]), Value::Null);
    rig.input(Input::Register);
    let specs = rig.registrations()[0].huly.clone().unwrap().specs;
    assert_eq!(specs.len(), 1);
    assert_eq!(specs[0].revision, 1);
    assert_eq!(specs[0].max_per_agent, Some(5));
}

#[test]
fn holders_are_written_into_the_record() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let token = rig.call(
        "xh",
        json!([{ "uuid": "u", "holders": ["a", "b"] }, { "uuid": "gone", "holders": [] }]),
        Value::Null,
    );
    assert_eq!(rig.answer(token), Ok(json!("ok")));
    rig.input(Input::Register);
    let record = rig.registrations()[0].containers[0].huly.clone().unwrap();
    assert_eq!(record.holders, ["a", "b"]);
}

#[test]
fn the_list_of_containers_is_the_originals() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let list = rig.call("cl", json!(["echo"]), Value::Null);
    let record = rig.answer(list).unwrap()[0].clone();
    assert_eq!(record["uuid"], "u");
    assert_eq!(record.get("huly"), None);
    let none = rig.call("cl", json!(["counter"]), Value::Null);
    assert_eq!(rig.answer(none), Ok(json!([])));
}

#[test]
fn what_is_no_call_gets_an_error() {
    let mut rig = Rig::registered();
    for (method, params) in [
        ("zz", json!([])),
        ("gg", json!({})),
        ("gg", json!([1, 2])),
        ("cs", json!(["u"])),
        ("ct", json!([[]])),
        ("xh", json!("x")),
        ("ks", json!([{}])),
    ] {
        let token = rig.call(method, params.clone(), Value::Null);
        assert_eq!(rig.code(token), ErrorCode::BadRequest, "{method} {params}");
    }
    let token = rig.call("ct", json!(["u"]), json!("ext"));
    assert_eq!(rig.code(token), ErrorCode::BadRequest);
}

/// The uuids that the last registration lists.
fn listed(rig: &Rig) -> Vec<String> {
    let last = rig.registrations().pop().expect("a registration");
    let uuids = last.containers.into_iter();
    uuids.map(|record| record.uuid).collect()
}

fn start_all(rig: &mut Rig, runs: &[Run]) {
    for run in runs {
        rig.input(Input::Started {
            run: *run,
            result: Ok(()),
        });
    }
}

#[test]
fn what_was_starting_when_the_agent_registered_is_reported_when_it_has() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    rig.get("v", 2);
    let runs = rig.starts();
    // Its server is another one now, to whom the answers of these gets mean nothing.
    rig.register_and_renew();
    start_all(&mut rig, &runs);
    assert!(rig.registrations().is_empty(), "they are gathered");
    rig.pass_leased(100 * MS);
    assert_eq!(rig.registrations().len(), 1);
    assert_eq!(listed(&rig), ["u", "v"]);
    rig.pass_leased(10_000 * MS);
    assert_eq!(rig.registrations().len(), 1);
    // The server placed one elsewhere meanwhile.
    rig.input(Input::Registered {
        end: vec!["u".to_owned()],
    });
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run } if *run == runs[0])));
}

#[test]
fn so_is_a_new_life_that_was_still_to_begin() {
    let mut rig = Rig::registered();
    let old = rig.living("u", 1);
    rig.get("u", 2);
    rig.register_and_renew();
    rig.ended(old, EndReport::Stopped);
    let runs = rig.starts();
    start_all(&mut rig, &runs);
    rig.pass_leased(100 * MS);
    assert_eq!(listed(&rig), ["u"]);
}

#[test]
fn a_start_that_the_server_hears_of_is_not_reported_again() {
    let mut rig = Rig::registered();
    rig.get("u", 1);
    let runs = rig.starts();
    start_all(&mut rig, &runs);
    rig.pass_leased(10_000 * MS);
    assert!(rig.registrations().is_empty());
    // One that another registration has told of is not told of once more.
    rig.get("v", 2);
    let runs = vec![rig.last_start()];
    rig.register_and_renew();
    start_all(&mut rig, &runs);
    rig.register_and_renew();
    rig.pass_leased(10_000 * MS);
    assert!(rig.registrations().is_empty());
}

/// It was in the socket with its start when the agent went on after a pause. The server has given the
/// start up: it does not hear of what would begin.
#[test]
fn an_end_that_came_while_its_start_was_held_ends_it() {
    let mut rig = Rig::registered();
    rig.pause(2_000 * MS);
    let (given_up, later) = (rig.get("u", 5), rig.get("v", 6));
    let end = |epoch: u64| json!({ "epoch": [10, epoch] });
    let ended = rig.call("ct", json!(["u"]), end(5));
    let earlier = rig.call("ct", json!(["v"]), end(5));
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert_eq!(rig.code(given_up), ErrorCode::Interrupted);
    assert_eq!(rig.answer(ended), Ok(json!("")));
    assert_eq!(rig.answer(earlier), Ok(json!("")));
    assert_eq!(rig.starts().len(), 1, "the later life begins");
    assert_eq!(rig.answered(later), None);
}

use super::*;

fn answer_first(rig: &mut Rig, result: Result<Json, ErrorPayload>) {
    let call = rig.dispatched()[0].1;
    rig.input(Input::Answered { call, result });
}

#[test]
fn a_request_that_is_sent_again_runs_once() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let first = rig.request("u", json!(1), "r1");
    let again = rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1, "it runs");
    answer_first(&mut rig, ok(json!("a")));
    assert_eq!(rig.answer(first), Ok(json!("a")));
    assert_eq!(rig.answer(again), Ok(json!("a")));
    let later = rig.request("u", json!(1), "r1");
    assert_eq!(rig.answer(later), Ok(json!("a")), "from memory");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn the_same_request_on_both_routes_runs_once() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.rust_hello("x", "c1");
    let routed = rig.request("u", json!(1), "r1");
    rig.message("x", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    assert_eq!(rig.dispatched().len(), 1);
    answer_first(&mut rig, ok(json!("a")));
    assert_eq!(rig.answer(routed), Ok(json!("a")));
    let sent = rig.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].1.op, sent[0].1.payload_text().as_ref()),
        (Op::Response, r#""a""#)
    );
}

/// It has one client id, and counts its requests anew on each ROUTER (W05): the transcripts have
/// `…-1` of one client both ways.
#[test]
fn a_typescript_client_counts_its_requests_on_each_route() {
    let mut rig = Rig::registered();
    let run = rig.living_with_router("u", 1);
    let own = Door::Container(run);
    rig.hello("x", "c1");
    rig.message_at(own, "y", Op::Hello, "c1", r#"{"aliveTimeout":3}"#);
    let by_server = rig.request("u", json!("server"), "c1-1");
    let by_agent = r#"["cs",["u","do","agent"]]"#;
    rig.message("x", Op::Request, "c1-1", by_agent);
    rig.message_at(own, "y", Op::Request, "c1-1", r#"["do","own"]"#);
    let calls = rig.dispatched();
    let asked: Vec<_> = calls.iter().map(|(_, _, data)| data.clone()).collect();
    assert_eq!(asked, ["server", "agent", "own"]);
    for (_, call, data) in calls {
        rig.input(Input::Answered {
            call,
            result: ok(data),
        });
    }
    assert_eq!(rig.answer(by_server), Ok(json!("server")));
    let sent = rig.sent();
    let answers = sent
        .iter()
        .map(|(conn, frame)| (conn.as_str(), frame.payload_text().into_owned()));
    let answers: Vec<_> = answers.collect();
    let expected = [("x", r#""agent""#), ("y", r#""own""#)];
    assert_eq!(
        answers,
        expected.map(|(conn, data)| (conn, data.to_owned()))
    );
    // What it sends again on one of them is what it was there.
    let again = rig.message("x", Op::Request, "c1-1", by_agent);
    assert_eq!(again[0].1.payload_text(), r#""agent""#);
    assert_eq!(rig.dispatched().len(), 3);
}

/// It has two senders at an agent that was started again at its address under another id. Each counts
/// from 0, and one does not know what the other asked.
#[test]
fn two_senders_of_a_typescript_client_are_answered_what_each_asked() {
    for own in [false, true] {
        let mut rig = Rig::registered();
        let run = rig.living_with_router("u", 1);
        let door = if own {
            Door::Container(run)
        } else {
            Door::Agent
        };
        let say = |rig: &mut Rig, conn: &str, op: Op, id: &str, payload: &str| {
            let sent = rig.message_at(door, conn, op, id, payload).into_iter();
            sent.map(|(conn, frame)| (conn, frame.payload_text().into_owned()))
                .collect::<Vec<_>>()
        };
        let hello = |rig: &mut Rig, conn: &str| drop(say(rig, conn, Op::Hello, "c1", "{}"));
        let ask = |rig: &mut Rig, conn: &str, id: &str, data: &str| {
            let payload = match own {
                true => json!(["do", data]),
                false => json!(["cs", ["u", "do", data]]),
            };
            say(rig, conn, Op::Request, id, &payload.to_string())
        };
        let answer = |rig: &mut Rig, of: &str| {
            let calls = rig.dispatched();
            let (_, call, data) = calls.into_iter().find(|(.., data)| data == of).unwrap();
            let result = ok(data);
            rig.input(Input::Answered { call, result });
            let sent = rig.sent().into_iter();
            sent.map(|(conn, frame)| (conn, frame.payload_text().into_owned()))
                .collect::<Vec<_>>()
        };
        let over = |conn: &str, data: &str| vec![(conn.to_owned(), format!("{data:?}"))];
        hello(&mut rig, "x");
        ask(&mut rig, "x", "c1-0", "first");
        assert_eq!(answer(&mut rig, "first"), over("x", "first"));
        ask(&mut rig, "x", "c1-1", "slow");
        hello(&mut rig, "y");
        ask(&mut rig, "y", "c1-0", "second");
        assert_eq!(
            answer(&mut rig, "second"),
            over("y", "second"),
            "own: {own}"
        );
        ask(&mut rig, "y", "c1-1", "third");
        assert_eq!(answer(&mut rig, "slow"), [], "who asked is not here");
        assert_eq!(answer(&mut rig, "third"), over("y", "third"));
        // It is made to ask again when it is.
        hello(&mut rig, "x");
        assert_eq!(ask(&mut rig, "x", "c1-1", "slow"), over("x", "slow"));
        assert_eq!(rig.dispatched().len(), 4, "each once");
    }
}

/// It sends nothing again, and its next sender counts from 0: the same words are another request.
#[test]
fn a_typescript_client_that_has_closed_counts_anew() {
    for own in [false, true] {
        let mut rig = Rig::registered();
        let run = rig.living_with_router("u", 1);
        let door = if own {
            Door::Container(run)
        } else {
            Door::Agent
        };
        let payload = match own {
            true => r#"["do",null]"#,
            false => r#"["cs",["u","do",null]]"#,
        };
        let hello = |rig: &mut Rig, conn: &str| {
            drop(rig.message_at(door, conn, Op::Hello, "c1", r#"{"aliveTimeout":300}"#));
        };
        let ask = |rig: &mut Rig, conn: &str, id: &str| {
            rig.message_at(door, conn, Op::Request, id, payload)
        };
        let answer = |rig: &mut Rig, which: usize| {
            let (_, call, _) = rig.dispatched()[which];
            let result = ok(json!(which));
            rig.input(Input::Answered { call, result });
            rig.sent()
        };
        hello(&mut rig, "x");
        ask(&mut rig, "x", "c1-0");
        assert_eq!(answer(&mut rig, 0)[0].1.payload_text(), "0");
        ask(&mut rig, "x", "c1-1");
        let bytes = rig.agent.answers.bytes();
        rig.pass_leased(40_000 * MS);
        rig.message_at(door, "x", Op::Close, "", "");
        assert!(bytes > 0 && rig.agent.answers.bytes() == 0);
        hello(&mut rig, "y");
        assert!(ask(&mut rig, "y", "c1-0").is_empty(), "own: {own}");
        assert_eq!(answer(&mut rig, 2)[0].1.payload_text(), "2");
        assert!(ask(&mut rig, "y", "c1-1").is_empty());
        assert!(answer(&mut rig, 1).is_empty(), "nobody waits for it");
        assert_eq!(answer(&mut rig, 3)[0].1.payload_text(), "3");
        // What it answered then is remembered for as long as always.
        rig.pass_leased(40_000 * MS);
        assert_eq!(ask(&mut rig, "y", "c1-0")[0].1.payload_text(), "2");
        assert_eq!(rig.dispatched().len(), 4, "own: {own}");
    }
}

#[test]
fn an_error_is_remembered_as_well() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.request("u", json!(1), "r1");
    answer_first(&mut rig, Err(ErrorPayload::new(ErrorCode::Failed, "no")));
    let again = rig.request("u", json!(1), "r1");
    assert_eq!(rig.code(again), ErrorCode::Failed);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn other_callers_and_other_containers_are_other_requests() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.living("v", 2);
    rig.request("u", json!(1), "r1");
    rig.request("u", json!(1), "r2");
    rig.request("v", json!(1), "r1");
    rig.call(
        "cs",
        json!(["u", "do", 1]),
        json!({ "client": "c2", "request": "r1" }),
    );
    // A TypeScript server does not say who asks.
    rig.call("cs", json!(["u", "do", 1]), Value::Null);
    rig.call("cs", json!(["u", "do", 1]), Value::Null);
    assert_eq!(rig.dispatched().len(), 6);
}

#[test]
fn answers_are_forgotten_after_the_window() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.request("u", json!(1), "r1");
    answer_first(&mut rig, ok(json!("a")));
    rig.pass_leased(59_900 * MS);
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
    rig.pass_leased(200 * MS);
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 2);
}

#[test]
fn answers_are_forgotten_above_the_bytes() {
    let mut rig = Rig::with(|config| config.answers_bytes = 10_000);
    rig.register_and_renew();
    rig.living("u", 1);
    let big = "x".repeat(4_000);
    for number in 0..3 {
        rig.out.clear();
        rig.request("u", json!(number), &format!("r{number}"));
        answer_first(&mut rig, ok(json!(big)));
        assert!(rig.agent.answers.bytes() <= 10_000);
    }
    rig.out.clear();
    rig.request("u", json!(2), "r2");
    assert!(rig.dispatched().is_empty(), "the last is remembered");
    rig.request("u", json!(0), "r0");
    assert_eq!(rig.dispatched().len(), 1, "the first is not");
}

#[test]
fn a_call_of_another_epoch_is_refused() {
    let mut rig = Rig::registered();
    rig.living("u", 5);
    for epoch in [4, 6] {
        let ext = json!({ "epoch": [10, epoch], "client": "c", "request": "r" });
        let token = rig.call("cs", json!(["u", "do", 1]), ext);
        assert_eq!(rig.code(token), ErrorCode::Gone);
    }
    assert!(rig.dispatched().is_empty());
    let ext = json!({ "epoch": [10, 5], "client": "c", "request": "r" });
    rig.call("cs", json!(["u", "do", 1]), ext);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_new_life_runs_what_an_old_one_did_not_answer() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    let token = rig.request("u", json!(1), "r1");
    rig.ended(run, EndReport::Stopped);
    assert_eq!(rig.code(token), ErrorCode::OutcomeUnknown);
    rig.living("u", 2);
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn there_is_no_such_container() {
    let mut rig = Rig::registered();
    let token = rig.request("u", json!(1), "r1");
    assert_eq!(rig.code(token), ErrorCode::NoSuchContainer);
}

/// What may happen to one container and two requests.
#[derive(Debug, Clone, Copy)]
enum Step {
    Routed(u8),
    Direct(u8),
    Answer,
    End,
    Time,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Routed),
        4 => (0u8..3).prop_map(Step::Direct),
        3 => Just(Step::Answer),
        1 => Just(Step::End),
        2 => Just(Step::Time),
    ]
}

proptest::proptest! {
    /// However requests are sent again, on whatever route: within a life of the container each runs
    /// at most once, and every call of the server is answered exactly once.
    #[test]
    fn a_request_runs_at_most_once_in_a_life(
        rust in proptest::bool::ANY,
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut rig = Rig::registered();
        // Of a TypeScript client the same id is another request on the other route.
        let (_, directly) = match rust {
            true => (rig.rust_hello("x", "c1"), 0),
            false => (rig.hello("x", "c1"), 100),
        };
        let mut epoch = 1;
        let mut run = rig.living("u", epoch);
        let mut tokens = Vec::new();
        let mut running: Vec<CallNumber> = Vec::new();
        let mut ran = std::collections::BTreeMap::new();
        let mut answers = std::collections::BTreeMap::new();
        for step in steps {
            match step {
                Step::Routed(id) => tokens.push(rig.request("u", json!(id), &format!("r{id}"))),
                Step::Direct(id) => {
                    let payload = json!(["cs", ["u", "do", directly + id]]).to_string();
                    rig.message("x", Op::Request, &format!("r{id}"), &payload);
                }
                Step::Answer => {
                    if let Some(call) = running.pop() {
                        rig.input(Input::Answered { call, result: ok(json!(1)) });
                    }
                }
                Step::End => {
                    rig.ended(run, EndReport::ByItself);
                    running.clear();
                }
                Step::Time => rig.pass_leased(100 * MS),
            }
            for (run, call, data) in rig.dispatched() {
                running.push(call);
                *ran.entry((run, data.as_u64())).or_insert(0) += 1;
            }
            for effect in &rig.out {
                if let Effect::Answer { token, .. } = effect {
                    *answers.entry(*token).or_insert(0) += 1;
                }
            }
            rig.out.clear();
            if matches!(step, Step::End) {
                epoch += 1;
                run = rig.living("u", epoch);
            }
        }
        rig.ended(run, EndReport::ByItself);
        for effect in &rig.out {
            if let Effect::Answer { token, .. } = effect {
                *answers.entry(*token).or_insert(0) += 1;
            }
        }
        proptest::prop_assert!(ran.values().all(|times| *times == 1), "{:?}", ran);
        for token in tokens {
            proptest::prop_assert_eq!(answers.get(&token), Some(&1));
        }
    }
}

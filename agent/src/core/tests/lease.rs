use super::*;

fn fenced(rig: &Rig) -> bool {
    rig.agent.figures().fenced
}

#[test]
fn a_pause_longer_than_the_lease_holds_requests_until_registered_again() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.pause(5_000 * MS);
    let token = rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty(), "nothing before the answer");
    assert_eq!(rig.registrations().len(), 1, "it registers by itself");
    assert!(rig.has(|effect| matches!(effect, Effect::Gate(gate) if !gate.open)));
    rig.input(Input::Registered { end: Vec::new() });
    assert!(rig.dispatched().is_empty(), "no lease yet");
    rig.renew();
    let dispatched = rig.dispatched();
    assert_eq!(dispatched.len(), 1);
    assert_eq!((dispatched[0].0, &dispatched[0].2), (run, &json!(1)));
    rig.input(Input::Answered {
        call: dispatched[0].1,
        result: ok(json!("done")),
    });
    assert_eq!(rig.answer(token), Ok(json!("done")));
}

#[test]
fn what_lay_in_the_socket_during_the_pause_opens_nothing() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    // Registered and renewed, read only after the pause.
    let old = rig.now + 1_000 * MS;
    rig.input(Input::Register);
    rig.pause(60_000 * MS);
    rig.input(Input::Registered { end: Vec::new() });
    let length = 1_000 * MS;
    rig.input(Input::Lease { until: old, length });
    rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty());
    assert!(fenced(&rig));
    rig.renew();
    assert_eq!(rig.dispatched().len(), 1);
}

/// It was sent less than a lease ago, and the server had not given the agent up then.
#[test]
fn a_pong_that_lay_in_the_socket_may_show_that_the_lease_was_there_all_the_time() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pass(900 * MS);
    let sent = rig.now;
    rig.pause(700 * MS);
    rig.request("u", json!(1), "r1");
    assert!(fenced(&rig));
    let length = 1_000 * MS;
    let until = sent + length;
    rig.input(Input::Lease { until, length });
    assert!(rig.dispatched().is_empty(), "not registered");
    rig.input(Input::Registered { end: Vec::new() });
    assert_eq!(rig.dispatched().len(), 1);
    rig.pass(400 * MS);
    assert!(
        !rig.agent.figures().leased,
        "it lasts from when that was sent"
    );
}

#[test]
fn while_the_server_is_away_an_awake_agent_serves_on() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.input(Input::Down);
    rig.pass(60_000 * MS);
    rig.hello("x", "c1");
    rig.message("x", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    assert_eq!(rig.dispatched().len(), 1);
    assert!(!fenced(&rig));
    assert!(!rig.agent.figures().registered);
}

#[test]
fn a_pause_while_the_server_is_away_fences_too() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.input(Input::Down);
    rig.pass(10_000 * MS);
    rig.pause(700 * MS);
    rig.hello("x", "c1");
    rig.message("x", Op::Request, "r1", r#"["cs",["u","do",1]]"#);
    assert!(rig.dispatched().is_empty());
    // A server is there again, whose session is fresh.
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_short_pause_within_the_lease_is_none() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(900 * MS);
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
}

/// Half of the lease that the server says.
#[test]
fn what_a_pause_is_the_server_says() {
    for (length, fences) in [(3_000, false), (1_000, true)] {
        let mut rig = Rig::registered();
        let until = rig.now + 100 * MS;
        rig.input(Input::Lease {
            until: rig.now + 1_000 * MS,
            length: length * MS,
        });
        assert_eq!(rig.agent.gate.length, length * MS);
        rig.now = until + 300 * MS;
        rig.input(Input::Wake);
        rig.pause(900 * MS);
        rig.input(Input::Wake);
        assert_eq!(fenced(&rig), fences, "{length}");
    }
}

#[test]
fn an_agent_that_never_had_a_lease_is_not_fenced() {
    // A TypeScript server knows no leases.
    let mut rig = Rig::new();
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    rig.out.clear();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_second_pause_before_the_registration_needs_another_one() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    rig.input(Input::Registered { end: Vec::new() });
    rig.pause(5_000 * MS);
    rig.request("u", json!(1), "r1");
    rig.renew();
    assert!(rig.dispatched().is_empty());
    assert_eq!(rig.registrations().len(), 2);
    rig.input(Input::Registered { end: Vec::new() });
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_request_is_held_for_a_bounded_time_only() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    let token = rig.request("u", json!(1), "r1");
    rig.pass(29_900 * MS);
    assert!(rig.answered(token).is_none());
    rig.pass(200 * MS);
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
    assert_eq!(rig.agent.figures().waiting, 0);
    // It did not run, so it may be sent again.
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert!(rig.dispatched().is_empty());
    rig.request("u", json!(1), "r1");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_start_waits_for_the_fence_and_may_be_told_to_end_first() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    rig.pause(5_000 * MS);
    let token = rig.get("v", 2);
    assert!(rig.starts().is_empty());
    assert!(rig.answered(token).is_none());
    // `ct` ends a container even now.
    rig.call("ct", json!(["u"]), Value::Null);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { .. })));
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert_eq!(rig.starts().len(), 1);
}

#[test]
fn a_start_that_was_held_for_a_session_that_is_over_does_not_begin() {
    let mut rig = Rig::registered();
    rig.pause(5_000 * MS);
    let old = rig.get("u", 1);
    rig.input(Input::Register);
    assert_eq!(rig.code(old), ErrorCode::Interrupted);
    let new = rig.get("v", 2);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert_eq!(rig.starts().len(), 1);
    assert!(rig.answered(new).is_none(), "it starts");
}

#[test]
fn the_answer_to_the_registration_ends_what_lives_elsewhere() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.pause(5_000 * MS);
    let token = rig.request("u", json!(1), "r1");
    rig.input(Input::Registered {
        end: vec!["u".to_owned(), "unknown".to_owned()],
    });
    rig.renew();
    assert!(rig.dispatched().is_empty(), "it runs nothing any more");
    assert_eq!(rig.code(token), ErrorCode::Interrupted);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    rig.ended(run, EndReport::Stopped);
    assert!(!rig.has(|effect| matches!(effect, Effect::Update(_))));
}

#[test]
fn the_answer_ends_only_what_was_reported() {
    let mut rig = Rig::registered();
    let old = rig.living("u", 1);
    rig.input(Input::Register);
    rig.call("ct", json!(["u"]), Value::Null);
    rig.ended(old, EndReport::Stopped);
    rig.living("u", 2);
    rig.input(Input::Registered {
        end: vec!["u".to_owned()],
    });
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. })));
}

proptest::proptest! {
    /// Whatever comes in whatever order: no request is handed over between a pause that outlasted
    /// the lease and the next registration with a valid lease.
    #[test]
    fn nothing_is_dispatched_behind_the_fence(steps in proptest::collection::vec(0u8..8, 1..200)) {
        let mut rig = Rig::registered();
        rig.living("u", 1);
        let mut until = rig.now + 1_000 * MS;
        // The same in this session.
        let mut leased = until;
        let mut last = rig.now;
        let (mut fence, mut registered) = (false, false);
        for (number, step) in steps.into_iter().enumerate() {
            if step == 0 {
                rig.pause(1_500 * MS);
                continue;
            }
            if step == 1 {
                rig.now += 100 * MS;
            }
            if rig.now - last > 500 * MS && until <= rig.now {
                (fence, registered) = (true, false);
            }
            last = rig.now;
            rig.out.clear();
            match step {
                2 => {
                    rig.renew();
                    until = rig.now + 1_000 * MS;
                    leased = until;
                }
                3 => {
                    rig.input(Input::Registered { end: Vec::new() });
                    registered = true;
                }
                4 => rig.input(Input::Down),
                5 => {
                    rig.input(Input::Register);
                    registered = false;
                    leased = Duration::ZERO;
                }
                6 => {
                    rig.request("u", json!(number), &format!("r{number}"));
                }
                _ => rig.input(Input::Wake),
            }
            if fence && registered && leased > rig.now {
                fence = false;
            }
            if fence {
                proptest::prop_assert!(rig.dispatched().is_empty());
            } else {
                proptest::prop_assert_eq!(rig.agent.figures().waiting, 0);
            }
        }
    }
}

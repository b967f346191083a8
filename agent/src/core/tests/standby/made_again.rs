//! One that has ended is made again.

use super::*;

#[test]
fn one_that_cannot_have_the_uuid_is_made_again() {
    let (mut rig, run) = standing_by();
    let token = chosen(&mut rig, 3);
    let result = Err(ErrorPayload::new(ErrorCode::Failed, "no"));
    rig.input(Input::Started { run, result });
    assert_eq!(rig.code(token), ErrorCode::Failed);
    rig.ended(run, EndReport::Stopped);
    rig.out.clear();
    rig.pass_leased(250 * MS);
    let again = rig.last_start();
    started(&mut rig, again);
    rig.pass_leased(100 * MS);
    assert_eq!(record(&mut rig)["huly"]["stateless"], "Standby");
}

#[test]
fn one_that_does_not_get_ready_in_time_is_ended() {
    let (mut rig, run) = standing_by();
    let token = chosen(&mut rig, 3);
    rig.pass_leased(Duration::from_secs(30));
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
    assert!(rig.has(|effect| matches!(effect, Effect::Abort { run: of } if *of == run)));
}

/// The time that it had to be made says nothing of how long it has to take over.
#[test]
fn one_that_gets_ready_has_all_its_time() {
    let (mut rig, run) = standing_by();
    rig.pass_leased(Duration::from_secs(29));
    let token = chosen(&mut rig, 3);
    rig.pass_leased(Duration::from_secs(2));
    assert!(rig.answered(token).is_none(), "it has 30 s from now on");
    assert!(!rig.has(|effect| matches!(effect, Effect::Abort { .. })));
    started(&mut rig, run);
    rig.answer(token).unwrap();
}

type End = fn(&mut Rig, Run);

/// Ends of every sort: another is made, to stand by.
#[test]
fn the_end_of_the_owner_makes_another() {
    // What ends it, and whether the server has to be told.
    let ends: [(End, bool); 4] = [
        (|rig, run| rig.ended(run, EndReport::ByItself), true),
        (
            |rig, run| rig.ended(run, EndReport::Panicked("oh".into())),
            true,
        ),
        (
            |rig, run| {
                rig.call("ct", json!([LEADER]), Value::Null);
                rig.ended(run, EndReport::Stopped);
            },
            false,
        ),
        (
            // The answer to a registration: a later life of it is elsewhere.
            |rig, run| {
                rig.input(Input::Register);
                let end = vec![LEADER.to_owned()];
                rig.input(Input::Registered { end });
                assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
                rig.ended(run, EndReport::Stopped);
            },
            false,
        ),
    ];
    for (end, news) in ends {
        let (mut rig, run) = owning();
        end(&mut rig, run);
        assert_eq!(rig.has(|effect| matches!(effect, Effect::Update(_))), news);
        rig.out.clear();
        rig.pass_leased(200 * MS);
        assert!(rig.starts().is_empty(), "standbys elsewhere come first");
        rig.pass_leased(100 * MS);
        let next = rig.last_start();
        started(&mut rig, next);
        rig.pass_leased(100 * MS);
        let record = record(&mut rig);
        assert_eq!(record["huly"]["stateless"], "Standby");
        assert_eq!(record["huly"]["epoch"], Value::Null);
        // It is the next owner as any other.
        let token = chosen(&mut rig, 4);
        started(&mut rig, next);
        rig.answer(token).unwrap();
    }
}

#[test]
fn one_that_keeps_ending_is_made_ever_later() {
    let (mut rig, mut run) = standing_by();
    let mut waits = Vec::new();
    for _ in 0..5 {
        rig.ended(run, EndReport::ByItself);
        rig.out.clear();
        let before = rig.now;
        while rig.starts().is_empty() {
            rig.pass_leased(50 * MS);
        }
        waits.push((rig.now - before).as_millis());
        run = rig.last_start();
        started(&mut rig, run);
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000]);
    rig.pass_leased(Duration::from_secs(10));
    rig.ended(run, EndReport::ByItself);
    rig.out.clear();
    rig.pass_leased(300 * MS);
    assert_eq!(rig.starts().len(), 1);
}

#[test]
fn the_server_places_the_uuid_where_its_owner_runs_on() {
    let (mut rig, run) = owning();
    let token = chosen(&mut rig, 5);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    rig.ended(run, EndReport::Stopped);
    // A new one, which is told that it has the uuid as it is made.
    assert!(rig.has(|effect| matches!(
        effect,
        Effect::Start { seed, .. } if seed.role == Role::Owner
    )));
    let next = rig.last_start();
    started(&mut rig, next);
    rig.answer(token).unwrap();
    rig.pass_leased(Duration::from_secs(1));
    assert_eq!(rig.starts(), [next], "one is enough");
}

#[test]
fn one_that_is_not_well_and_is_not_again_is_made_ever_later() {
    let (mut rig, mut run) = standing_by();
    for wait in [250, 500] {
        let cause = "tired".to_owned();
        rig.input(Input::PingFailed { run, cause });
        rig.ended(run, EndReport::Stopped);
        rig.out.clear();
        rig.pass_leased((wait - 50) * MS);
        assert!(rig.starts().is_empty(), "{wait}");
        rig.pass_leased(50 * MS);
        run = rig.last_start();
        started(&mut rig, run);
    }
}

#[test]
fn an_agent_that_leaves_ends_its_standbys_and_makes_none() {
    let (mut rig, run) = standing_by();
    rig.input(Input::Drain);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    rig.ended(run, EndReport::Stopped);
    assert!(rig.has(|effect| matches!(effect, Effect::Drained)));
    rig.out.clear();
    rig.pass_leased(Duration::from_secs(1));
    assert!(rig.starts().is_empty());
}

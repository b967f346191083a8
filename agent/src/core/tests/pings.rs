use std::collections::BTreeMap;

use super::*;

fn pinged(rig: &mut Rig) -> Vec<Run> {
    let run = |effect: Effect| match effect {
        Effect::Ping { run, .. } => Some(run),
        _ => None,
    };
    rig.take().into_iter().filter_map(run).collect()
}

fn ends(rig: &Rig) -> Vec<&'static str> {
    let reason = |effect: &Effect| match effect {
        Effect::Observed(super::super::Observed::End { reason, .. }) => Some(*reason),
        _ => None,
    };
    rig.out.iter().filter_map(reason).collect()
}

#[test]
fn each_container_is_pinged_once_in_each_interval_and_not_all_at_once() {
    let mut rig = Rig::registered();
    let runs: Vec<Run> = (0..100)
        .map(|number| rig.living(&number.to_string(), number + 1))
        .collect();
    let mut pings: BTreeMap<Run, u32> = BTreeMap::new();
    for _ in 0..300 {
        rig.pass_leased(100 * MS);
        let now = pinged(&mut rig);
        assert!(
            now.len() <= 3,
            "{} of 100 within 1 % of the time",
            now.len()
        );
        for run in now {
            *pings.entry(run).or_default() += 1;
        }
    }
    assert_eq!(pings.len(), runs.len());
    assert!(pings.values().all(|count| *count == 3), "{pings:?}");
}

#[test]
fn one_that_is_not_well_is_ended_and_the_server_told_when_it_has() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    let cause = "tired".to_owned();
    rig.input(Input::PingFailed { run, cause });
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
    assert!(rig.has(|effect| matches!(
        effect,
        Effect::Unwell { kind, uuid, cause } if (&**kind, &**uuid, &**cause) == ("echo", "u", "tired")
    )));
    assert!(
        !rig.has(|effect| matches!(effect, Effect::Update(_))),
        "it still runs"
    );
    let late = rig.request("u", json!(1), "r1");
    assert_eq!(
        rig.code(late),
        ErrorCode::Gone,
        "waits at the server for the next life"
    );
    rig.ended(run, EndReport::Panicked("while it stopped".to_owned()));
    assert!(rig.has(|effect| matches!(effect, Effect::Update(_))));
    assert_eq!(ends(&rig), ["PingFailed"]);
}

#[test]
fn what_is_being_ended_is_not_pinged_and_keeps_its_reason() {
    let mut rig = Rig::registered();
    let run = rig.living("u", 1);
    rig.call("ct", json!(["u"]), Value::Null);
    rig.take();
    let cause = "tired".to_owned();
    rig.input(Input::PingFailed { run, cause });
    assert!(rig.out.is_empty());
    rig.pass_leased(60_000 * MS);
    rig.ended(run, EndReport::Stopped);
    assert_eq!(ends(&rig), ["Terminated"]);
    // Nor is the uuid's next life told what the last one said.
    let next = rig.living("u", 2);
    let cause = "tired".to_owned();
    rig.input(Input::PingFailed { run, cause });
    assert!(!rig.has(|effect| matches!(effect, Effect::Stop { .. })));
    rig.pass_leased(10_000 * MS);
    assert_eq!(pinged(&mut rig), [next]);
}

#[test]
fn without_an_interval_only_a_get_pings() {
    let mut rig = Rig::with(|config| config.ping_interval = Duration::ZERO);
    rig.register_and_renew();
    let run = rig.living("u", 1);
    rig.pass_leased(60_000 * MS);
    assert_eq!(pinged(&mut rig), []);
    rig.get("u", 1);
    assert_eq!(pinged(&mut rig), [run]);
}

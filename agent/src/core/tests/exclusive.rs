//! Exclusive kinds: they accept with the lease alone, once the server has said that they are here.

use super::*;
use crate::core::Permit;

/// A container of an exclusive kind that lives.
fn alone(rig: &mut Rig, uuid: &str, epoch: u64) -> Run {
    let spec = json!({ "kind": "echo", "revision": 1, "exclusive": true });
    rig.placed(uuid, &json!({ "epoch": [10, epoch], "spec": spec }))
}

fn confirm(rig: &mut Rig, uuid: &str, epoch: u64) {
    let of = json!([{ "uuid": uuid, "epoch": [10, epoch] }]);
    let token = rig.call("xc", of, Value::Null);
    assert_eq!(rig.answer(token), Ok(json!("ok")));
}

/// What the container's worker was told last.
fn permit(rig: &Rig, run: Run) -> Option<Permit> {
    let said = |effect: &Effect| match effect {
        Effect::Permit { run: of, permit } if *of == run => Some(*permit),
        _ => None,
    };
    rig.out.iter().rev().find_map(said)
}

/// Whether the registration says that nobody can have placed the container elsewhere.
fn leased(rig: &Rig, uuid: &str) -> bool {
    let last = rig.registrations().pop().expect("a registration");
    let record = last.containers.iter().find(|record| record.uuid == uuid);
    record.expect("it").huly.as_ref().expect("ours").leased
}

#[test]
fn while_the_server_is_away_it_waits_and_ordinary_ones_go_on() {
    let mut rig = Rig::registered();
    let run = alone(&mut rig, "u", 1);
    assert_eq!(permit(&rig, run), Some(Permit::Leased));
    rig.living("v", 2);
    rig.input(Input::Down);
    rig.pass(900 * MS);
    rig.hello("x", "c1");
    let ask = |rig: &mut Rig, uuid: &str, id: &str| {
        let payload = json!(["cs", [uuid, "do", id]]).to_string();
        rig.message("x", Op::Request, id, &payload);
        let now = rig.dispatched().len();
        rig.out.clear();
        now
    };
    assert_eq!(ask(&mut rig, "u", "r1"), 1, "the lease lasts still");
    rig.pass(200 * MS);
    assert_eq!(ask(&mut rig, "u", "r2"), 0);
    assert_eq!(ask(&mut rig, "u", "r3"), 0);
    assert_eq!(ask(&mut rig, "v", "r4"), 1, "it is of an ordinary kind");
    assert!(!rig.agent.figures().fenced && !rig.agent.figures().leased);
    // A server that has just started: the agent says what it has, and waits for word of it.
    rig.input(Input::Register);
    assert!(!leased(&rig, "u"));
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    assert!(rig.dispatched().is_empty(), "it may live elsewhere");
    confirm(&mut rig, "u", 1);
    let began: Vec<Value> = rig.dispatched().into_iter().map(|(.., it)| it).collect();
    assert_eq!(began, [json!("r2"), json!("r3")]);
}

#[test]
fn the_same_session_goes_on_with_the_next_pong() {
    let mut rig = Rig::registered();
    alone(&mut rig, "u", 1);
    rig.pass(1_200 * MS);
    let token = rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty());
    rig.renew();
    assert_eq!(rig.dispatched().len(), 1);
    assert!(rig.answered(token).is_none());
}

#[test]
fn what_waits_in_vain_did_not_run() {
    let mut rig = Rig::registered();
    alone(&mut rig, "u", 1);
    rig.pass(1_100 * MS);
    let token = rig.request_for("u", "r1", 2_000);
    rig.pass(2_000 * MS);
    assert_eq!(rig.code(token), ErrorCode::TimedOut);
    rig.renew();
    assert!(rig.dispatched().is_empty());
}

#[test]
fn a_lease_that_lasted_is_said_also_when_the_registration_takes_several_tries() {
    let mut rig = Rig::registered();
    alone(&mut rig, "u", 1);
    rig.pass(300 * MS);
    rig.input(Input::Register);
    assert!(leased(&rig, "u"));
    rig.input(Input::RegisterFailed);
    rig.pass(3_000 * MS);
    assert!(leased(&rig, "u"), "the same session");
    // Another one, when that lease would be over.
    rig.input(Input::Register);
    assert!(!leased(&rig, "u"));
    let quick = &mut Rig::registered();
    alone(quick, "u", 1);
    quick.input(Input::Register);
    quick.pass(300 * MS);
    quick.input(Input::Register);
    assert!(leased(quick, "u"), "nobody can have placed it in between");
}

/// A server knows nothing of what another has given: its leases may be shorter.
#[test]
fn the_lease_that_another_server_gave_is_not_this_ones() {
    let mut rig = Rig::registered();
    alone(&mut rig, "u", 1);
    let lease = |rig: &mut Rig, length: Duration| {
        let until = rig.now + length;
        rig.input(Input::Lease { until, length });
    };
    lease(&mut rig, 3_000 * MS);
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    confirm(&mut rig, "u", 1);
    rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty(), "it has given none");
    lease(&mut rig, 500 * MS);
    assert_eq!(rig.dispatched().len(), 1);
    rig.pass(600 * MS);
    rig.request("u", json!(1), "r2");
    assert_eq!(rig.dispatched().len(), 1, "it is over");
}

#[test]
fn a_pong_that_overtakes_the_answer_to_the_registration_is_no_lease() {
    let mut rig = Rig::registered();
    let run = alone(&mut rig, "u", 1);
    rig.input(Input::Register);
    assert_eq!(permit(&rig, run), Some(Permit::Never));
    rig.renew();
    rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty());
    rig.out.clear();
    rig.input(Input::Registered {
        end: vec!["u".to_owned()],
    });
    confirm(&mut rig, "u", 1);
    assert!(rig.dispatched().is_empty(), "it is being ended");
    assert_eq!(permit(&rig, run), None, "and gets no leave again");
}

#[test]
fn another_life_than_the_confirmed_one_goes_on_waiting() {
    let mut rig = Rig::registered();
    alone(&mut rig, "u", 2);
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    rig.request("u", json!(1), "r1");
    confirm(&mut rig, "u", 1);
    confirm(&mut rig, "unknown", 1);
    assert!(rig.dispatched().is_empty());
    confirm(&mut rig, "u", 2);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_kind_that_becomes_exclusive_is_so_for_what_lives() {
    let mut rig = Rig::registered();
    rig.living("u", 1);
    let spec = json!([{ "kind": "echo", "revision": 1, "exclusive": true }]);
    rig.call("ks", spec, Value::Null);
    rig.pass(1_100 * MS);
    rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty());
    rig.renew();
    assert_eq!(rig.dispatched().len(), 1, "it was started in this session");
    // Deleted: what was placed without it is as any other.
    rig.call("kr", json!(["echo"]), Value::Null);
    rig.pass(1_100 * MS);
    rig.out.clear();
    rig.request("u", json!(2), "r2");
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn pings_and_the_end_pass_without_a_lease() {
    let mut rig = Rig::registered();
    let run = alone(&mut rig, "u", 1);
    rig.pass(20_000 * MS);
    assert!(rig.has(|effect| matches!(effect, Effect::Ping { run: of, .. } if *of == run)));
    rig.call("ct", json!(["u"]), Value::Null);
    assert!(rig.has(|effect| matches!(effect, Effect::Stop { run: of } if *of == run)));
}

#[test]
fn what_is_being_ended_begins_with_nothing_it_was_handed() {
    let mut rig = Rig::registered();
    let run = alone(&mut rig, "u", 1);
    rig.request("u", json!(1), "r1");
    rig.out.clear();
    rig.call("ct", json!(["u"]), Value::Null);
    let told = |effect: &Effect| match effect {
        Effect::Permit { permit, .. } => Some(*permit == Permit::Never),
        Effect::Stop { .. } => Some(false),
        _ => None,
    };
    let told: Vec<bool> = rig.out.iter().filter_map(told).collect();
    assert_eq!(
        told,
        [true, false],
        "first no leave, then the end of {run:?}"
    );
}

#[test]
fn a_life_that_an_earlier_session_asked_for_waits_for_this_ones_word() {
    let mut rig = Rig::registered();
    let old = alone(&mut rig, "u", 1);
    // Placed here anew: it starts once the old life has ended, in another session.
    let spec = json!({ "kind": "echo", "revision": 1, "exclusive": true });
    let told = json!({ "epoch": [10, 2], "spec": spec });
    rig.call("gg", json!(["echo", { "uuid": "u" }]), told);
    rig.input(Input::Register);
    rig.input(Input::Registered { end: Vec::new() });
    rig.renew();
    rig.ended(old, EndReport::Stopped);
    let run = rig.last_start();
    rig.input(Input::Started {
        run,
        result: Ok(()),
    });
    rig.request("u", json!(1), "r1");
    assert!(rig.dispatched().is_empty());
    confirm(&mut rig, "u", 2);
    assert_eq!(rig.dispatched().len(), 1);
}

#[test]
fn a_container_with_a_router_of_its_own_waits_too() {
    let mut rig = Rig::registered();
    let spec = json!([{ "kind": "echo", "revision": 1, "exclusive": true }]);
    rig.call("ks", spec, Value::Null);
    let run = rig.living_with_router("u", 1);
    rig.pass(1_100 * MS);
    let door = Door::Container(run);
    rig.message_at(door, "x", Op::Hello, "c1", r#"{"aliveTimeout":60}"#);
    rig.message_at(door, "x", Op::Request, "r1", r#"["do",1]"#);
    assert!(rig.dispatched().is_empty());
    rig.renew();
    assert_eq!(rig.dispatched().len(), 1);
}

/// The lease as it is said to be, beside the agent.
#[derive(Debug, Default)]
struct Model {
    /// Until when a server that answered lets the containers be.
    until: Duration,
    /// The same of the server of this session.
    leased: Duration,
    registered: bool,
    confirmed: bool,
    fenced: bool,
    last: Duration,
}

impl Model {
    fn passes(&mut self, now: Duration) {
        if now - self.last > 500 * MS && self.until <= now {
            (self.fenced, self.registered) = (true, false);
        }
        self.last = now;
    }

    fn accepts(&mut self, now: Duration) -> bool {
        let holds = self.registered && self.leased > now;
        self.fenced &= !holds;
        holds && self.confirmed
    }
}

proptest::proptest! {
    /// Whatever comes in whatever order: what an exclusive container is handed, it is handed while
    /// the lease lasts, in a session in which it was confirmed; and then nothing waits.
    #[test]
    fn it_is_handed_requests_with_the_lease_alone(
        steps in proptest::collection::vec((0_u8..9, 0_u64..700), 1..200),
    ) {
        let mut rig = Rig::registered();
        alone(&mut rig, "u", 1);
        let now = rig.now;
        let mut model = Model {
            until: now + 1_000 * MS,
            leased: now + 1_000 * MS,
            registered: true,
            confirmed: true,
            fenced: false,
            last: now,
        };
        for (number, (step, time)) in steps.into_iter().enumerate() {
            rig.out.clear();
            rig.now += Duration::from_millis(time);
            model.passes(rig.now);
            let input = match step {
                0 | 1 => {
                    // Of a ping that was sent a while ago.
                    let until = rig.now + Duration::from_millis(1_000 - time);
                    model.leased = model.leased.max(until);
                    model.until = model.leased;
                    Input::Lease { until, length: 1_000 * MS }
                }
                2 => {
                    model.registered = true;
                    Input::Registered { end: Vec::new() }
                }
                3 => {
                    (model.registered, model.confirmed) = (false, false);
                    model.leased = Duration::ZERO;
                    Input::Register
                }
                4 => {
                    model.confirmed = true;
                    confirm(&mut rig, "u", 1);
                    Input::Wake
                }
                5 => Input::Down,
                6 | 7 => {
                    rig.request("u", json!(number), &format!("r{number}"));
                    Input::Wake
                }
                _ => Input::Wake,
            };
            rig.input(input);
            if model.accepts(rig.now) {
                proptest::prop_assert_eq!(rig.agent.figures().waiting, 0);
            } else {
                proptest::prop_assert!(rig.dispatched().is_empty());
            }
        }
    }
}

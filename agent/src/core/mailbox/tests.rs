use huly_protocol::{Chain, Json};

use super::*;
use crate::core::types::{Id, Role, Seed};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn asked(call: u64, until: Option<Duration>) -> Asked {
    Asked {
        call: CallNumber(call),
        operation: "echo".to_owned(),
        data: Json::null(),
        client: Some(Id::from("c1")),
        until,
        chain: Chain::default(),
    }
}

/// A mailbox with a gate and a time of the test's.
pub(super) struct Rig {
    pub(super) mailbox: Mailbox,
    pub(super) at: Moment,
}

impl Rig {
    pub(super) fn new(serial: bool) -> Self {
        Self {
            mailbox: Mailbox::new(serial),
            at: Moment {
                now: SECOND,
                open: true,
                closings: 0,
            },
        }
    }

    /// What follows from an input, and from the wakings that go with it.
    pub(super) fn take(&mut self, input: Input) -> Vec<Effect> {
        let mut all = self.handle(input);
        loop {
            let more = self.handle(Input::Wake);
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.mailbox.handle(self.at, input, &mut out);
        let begun = |effect: &Effect| matches!(effect, Effect::Begin(_));
        let before = out.iter().rev().skip(1).any(begun);
        assert!(!before, "one begins, as the last");
        out
    }

    pub(super) fn request(&mut self, call: u64) -> Vec<Effect> {
        self.request_until(call, None)
    }

    pub(super) fn request_until(&mut self, call: u64, until: Option<Duration>) -> Vec<Effect> {
        let closings = self.at.closings;
        self.take(Input::Request {
            asked: asked(call, until),
            closings,
        })
    }

    pub(super) fn close(&mut self) {
        self.at.open = false;
        self.at.closings += 1;
    }
}

/// The requests that began, and those that were refused with the code.
fn fates(effects: &[Effect]) -> Vec<(u64, Option<ErrorCode>)> {
    let fate = |effect: &Effect| match effect {
        Effect::Begin(asked) => Some((asked.call.0, None)),
        Effect::Refuse { call, cause } => Some((call.0, cause.code)),
        _ => None,
    };
    effects.iter().filter_map(fate).collect()
}

fn begins(calls: &[u64]) -> Vec<(u64, Option<ErrorCode>)> {
    calls.iter().map(|call| (*call, None)).collect()
}

#[test]
fn requests_begin_as_they_come_and_run_beside_each_other() {
    let mut rig = Rig::new(false);
    for call in 1..=3 {
        assert_eq!(fates(&rig.request(call)), begins(&[call]));
    }
    assert_eq!(rig.mailbox.running(), 3);
}

#[test]
fn those_of_a_serial_container_run_one_after_the_other() {
    let mut rig = Rig::new(true);
    assert_eq!(fates(&rig.request(1)), begins(&[1]));
    assert_eq!(fates(&rig.request(2)), begins(&[]));
    assert_eq!(fates(&rig.request(3)), begins(&[]));
    assert!(!rig.mailbox.waits_for_gate());
    assert_eq!(fates(&rig.take(Input::Ended)), begins(&[2]));
    assert_eq!(fates(&rig.take(Input::Ended)), begins(&[3]));
    assert_eq!(fates(&rig.take(Input::Ended)), begins(&[]));
    assert_eq!(fates(&rig.request(4)), begins(&[4]));
}

#[test]
fn one_begins_at_a_time_each_judged_when_it_does() {
    let mut rig = Rig::new(false);
    rig.close();
    for call in 1..=3 {
        assert_eq!(fates(&rig.request_until(call, Some(9 * SECOND))), []);
    }
    rig.at.open = true;
    let mut out = Vec::new();
    let caught_up = Input::CaughtUp { closings: 1 };
    rig.mailbox.handle(rig.at, caught_up, &mut out);
    assert_eq!(fates(&out), begins(&[1]));
    // The first held up its worker, and meanwhile the agent lost its lease.
    rig.close();
    out.clear();
    rig.mailbox.handle(rig.at, Input::Wake, &mut out);
    assert_eq!(fates(&out), begins(&[]));
    assert!(rig.mailbox.waits_for_gate());
    // It came back later than the others' callers wait.
    rig.at.open = true;
    rig.at.now = 9 * SECOND;
    let out = rig.take(Input::CaughtUp { closings: 2 });
    let late = Some(ErrorCode::TimedOut);
    assert_eq!(fates(&out), [(2, late), (3, late)]);
}

#[test]
fn what_was_handed_over_before_a_closing_waits_for_what_was_said_since() {
    let mut rig = Rig::new(false);
    let old = Input::Request {
        asked: asked(1, None),
        closings: 0,
    };
    rig.close();
    rig.at.open = true;
    assert_eq!(fates(&rig.take(old)), []);
    assert!(rig.mailbox.waits_for_gate());
    // One that was handed over since says that all before has come.
    assert_eq!(fates(&rig.request(2)), begins(&[1, 2]));
}

#[test]
fn what_else_it_is_told_passes_by_those_that_wait() {
    let mut rig = Rig::new(true);
    rig.request(1);
    rig.request(2);
    let connected = rig.take(Input::Hook(Hook::Connected(Id::from("c2"))));
    assert!(matches!(connected[..], [Effect::Hook(Hook::Connected(_))]));
    let pinged = rig.take(Input::Ping { within: SECOND });
    assert!(matches!(pinged[..], [Effect::Ping { within: SECOND }]));
    // One is enough until it is answered.
    assert!(rig.take(Input::Ping { within: SECOND }).is_empty());
    assert!(rig.take(Input::Pinged).is_empty());
    assert_eq!(rig.take(Input::Ping { within: SECOND }).len(), 1);
    let stopped = rig.take(Input::Stop);
    assert!(matches!(stopped.last(), Some(Effect::Stop)));
    assert_eq!(fates(&stopped), [(2, Some(ErrorCode::Interrupted))]);
}

#[test]
fn it_is_done_when_it_has_stopped_and_what_ran_is_answered() {
    let mut rig = Rig::new(false);
    rig.request(1);
    assert!(matches!(rig.take(Input::Stop)[..], [Effect::Stop]));
    // One end is enough, and nothing follows it.
    assert!(rig.take(Input::Stop).is_empty());
    assert!(rig.take(Input::Ping { within: SECOND }).is_empty());
    let late = rig.request(2);
    assert_eq!(fates(&late), [(2, Some(ErrorCode::Interrupted))]);
    rig.take(Input::Stopped);
    assert!(!rig.mailbox.is_done());
    rig.take(Input::Ended);
    assert!(rig.mailbox.is_done());
}

#[test]
fn one_that_cannot_have_its_uuid_is_done() {
    let mut rig = Rig::new(false);
    rig.take(Input::ActivationFailed);
    assert!(rig.mailbox.is_done());
}

#[test]
fn a_request_whose_caller_waits_no_longer_leaves_the_queue() {
    let mut rig = Rig::new(true);
    assert_eq!(fates(&rig.request(1)), begins(&[1]));
    rig.request_until(2, Some(5 * SECOND));
    rig.request_until(3, Some(3 * SECOND));
    rig.request(4);
    assert_eq!(rig.mailbox.next_wake(), Some(3 * SECOND));
    rig.at.now = 3 * SECOND;
    let late = Some(ErrorCode::TimedOut);
    assert_eq!(fates(&rig.take(Input::Wake)), [(3, late)]);
    assert_eq!(rig.mailbox.next_wake(), Some(5 * SECOND));
    assert_eq!(fates(&rig.take(Input::Ended)), begins(&[2]));
    // It runs: what its caller waits for is nobody's business here any more.
    assert_eq!(rig.mailbox.next_wake(), None);
    assert_eq!(fates(&rig.request_until(5, Some(3 * SECOND))), [(5, late)]);
    assert_eq!(fates(&rig.take(Input::Ended)), begins(&[4]));
}

#[test]
fn what_stood_by_is_serial_as_it_is_told_with_its_uuid() {
    let mut rig = Rig::new(false);
    let seed = Seed {
        uuid: Id::from("u"),
        kind: Id::from("k"),
        labels: Vec::new(),
        extra: None,
        epoch: None,
        role: Role::Owner,
        serial: true,
    };
    rig.take(Input::Hook(Hook::Activated(Box::new(seed))));
    assert_eq!(fates(&rig.request(1)), begins(&[1]));
    assert_eq!(fates(&rig.request(2)), begins(&[]));
}

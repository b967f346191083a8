//! Whatever comes in whatever order: what a mailbox promises holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{Rig, SECOND, asked};
use super::*;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A request that may wait for so many seconds.
    Request(Option<u32>),
    /// One that was handed over before the gate was last closed.
    OldRequest,
    /// The one that runs since so many others did comes to its end.
    Ended,
    Ping,
    Pinged,
    Connected,
    Stop,
    Gate(bool),
    CaughtUp,
    /// So many seconds go by.
    Time(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::option::of(0..6_u32).prop_map(Step::Request),
        1 => Just(Step::OldRequest),
        6 => Just(Step::Ended),
        1 => Just(Step::Ping),
        1 => Just(Step::Pinged),
        1 => Just(Step::Connected),
        1 => proptest::bool::weighted(0.1).prop_map(|stop| if stop { Step::Stop } else { Step::Ping }),
        2 => any::<bool>().prop_map(Step::Gate),
        2 => Just(Step::CaughtUp),
        2 => (0..3_u32).prop_map(Step::Time),
    ]
}

/// A mailbox, and what has become of each request.
struct Watched {
    rig: Rig,
    serial: bool,
    made: u64,
    until: BTreeMap<u64, Duration>,
    begun: Vec<u64>,
    refused: BTreeSet<u64>,
    running: usize,
    pings: usize,
    stops: usize,
}

impl Watched {
    fn new(serial: bool) -> Self {
        Self {
            rig: Rig::new(serial),
            serial,
            made: 0,
            until: BTreeMap::new(),
            begun: Vec::new(),
            refused: BTreeSet::new(),
            running: 0,
            pings: 0,
            stops: 0,
        }
    }

    fn request(&mut self, wait: Option<u32>, closings: u64) {
        self.made += 1;
        let until = wait.map(|seconds| self.rig.at.now + seconds * SECOND);
        self.until.extend(until.map(|until| (self.made, until)));
        let asked = asked(self.made, until);
        self.take(Input::Request { asked, closings });
    }

    fn does(&mut self, step: &Step) {
        match step {
            Step::Request(wait) => self.request(*wait, self.rig.at.closings),
            Step::OldRequest => {
                // What a driver says later was handed over later.
                let closings = self.rig.mailbox.heard;
                self.request(None, closings);
            }
            Step::Ended if self.running > 0 => {
                self.running -= 1;
                self.take(Input::Ended);
            }
            Step::Ended => {}
            Step::Ping => self.take(Input::Ping { within: SECOND }),
            Step::Pinged => {
                self.pings = 0;
                self.take(Input::Pinged);
            }
            Step::Connected => self.take(Input::Hook(Hook::Connected("c".into()))),
            Step::Stop => self.take(Input::Stop),
            Step::Gate(open) => {
                self.rig.at.closings += u64::from(!open);
                self.rig.at.open = *open;
                self.take(Input::Wake);
            }
            Step::CaughtUp => {
                let closings = self.rig.at.closings;
                self.take(Input::CaughtUp { closings });
            }
            Step::Time(seconds) => {
                self.rig.at.now += *seconds * SECOND;
                self.take(Input::Wake);
            }
        }
    }

    fn take(&mut self, input: Input) {
        let hooks = usize::from(matches!(input, Input::Hook(_)));
        let effects = self.rig.take(input);
        let told = effects.iter().filter(|e| matches!(e, Effect::Hook(_)));
        assert_eq!(told.count(), hooks, "what it is told does not wait");
        for effect in effects {
            match effect {
                Effect::Begin(asked) => self.begins(asked.call.0),
                Effect::Refuse { call, .. } => {
                    assert!(self.refused.insert(call.0), "{call:?} is answered once");
                    assert!(!self.begun.contains(&call.0), "{call:?} did not run");
                }
                Effect::Ping { .. } => {
                    self.pings += 1;
                    assert_eq!(self.pings, 1, "one ping at a time");
                    assert_eq!(self.stops, 0, "none after the end");
                }
                Effect::Stop => self.stops += 1,
                Effect::Hook(_) => {}
            }
        }
        self.holds();
    }

    fn begins(&mut self, call: u64) {
        let at = self.rig.at;
        assert!(at.open, "{call} begins behind the gate");
        assert_eq!(self.rig.mailbox.heard, at.closings);
        assert_eq!(self.stops, 0, "{call} begins after the end");
        assert!(self.until.get(&call).is_none_or(|until| at.now < *until));
        assert!(!self.refused.contains(&call));
        // In order, so each once too.
        assert!(self.begun.last().is_none_or(|last| *last < call));
        self.begun.push(call);
        self.running += 1;
    }

    fn holds(&self) {
        let mailbox = &self.rig.mailbox;
        assert!(self.stops <= 1);
        assert_eq!(mailbox.running(), self.running);
        assert!(!self.serial || self.running <= 1, "one at a time");
        let done = self.begun.len() + self.refused.len();
        assert_eq!(done + mailbox.waiting.len(), self.made as usize);
        // Nothing waits without a reason.
        let turn = !self.serial || self.running == 0;
        let free = self.rig.at.open && mailbox.heard == self.rig.at.closings && turn;
        assert!(!free || mailbox.waiting.is_empty());
        // Deadlines are those of what waits.
        let wakes = mailbox.waiting.values().filter_map(|asked| asked.until);
        assert_eq!(mailbox.next_wake(), wakes.min());
    }

    /// Whatever it was: with the gate open and all that runs at its end, nothing is left.
    fn comes_to_rest(&mut self) {
        self.does(&Step::Gate(true));
        self.does(&Step::CaughtUp);
        while self.running > 0 {
            self.does(&Step::Ended);
        }
        assert_eq!(self.begun.len() + self.refused.len(), self.made as usize);
    }
}

proptest! {
    #[test]
    fn every_request_begins_in_its_turn_or_is_answered(
        serial in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut watched = Watched::new(serial);
        for step in &steps {
            watched.does(step);
        }
        watched.comes_to_rest();
    }
}

//! A container's mailbox: in which order it begins with what it is told and asked, and what waits.
//!
//! Pure as the core: [`Mailbox::handle`] takes the moment and one input and appends effects. The
//! runtime has one beside each container, on its worker.

mod types;

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{ErrorCode, ErrorPayload};

use super::error;
use super::types::{Asked, CallNumber};
pub use types::{Effect, Hook, Input, Moment};

/// What a container was told and does.
///
/// Requests begin in the order in which they were handed over, those of a serial container each when
/// the one before has ended. What else it is told passes by those that wait.
#[derive(Debug, Default)]
pub struct Mailbox {
    serial: bool,
    /// Requests that have begun and not ended.
    running: usize,
    /// Requests that have not begun, by their order.
    waiting: BTreeMap<u64, Asked>,
    order: u64,
    /// When those that wait are given up.
    deadlines: BTreeSet<(Duration, u64)>,
    /// How often the gate had been closed when the last of what is known was said. What was handed
    /// over before a closing may be followed by the container's end, though the gate is open again.
    heard: u64,
    /// Whether a ping is without an answer: one at a time is enough.
    pinged: bool,
    stopping: bool,
    stopped: bool,
    /// It cannot have its uuid.
    failed: bool,
}

impl Mailbox {
    /// That of a container that has started. Of a serial one, one request at a time runs.
    pub fn new(serial: bool) -> Self {
        Self {
            serial,
            ..Self::default()
        }
    }

    /// Takes one input and appends what follows. At most one request begins, as the last effect:
    /// by its end, or by [`Input::Wake`] once it was polled, the next one does. So each is judged at
    /// the moment at which it begins, also if the one before held up the worker.
    pub fn handle(&mut self, at: Moment, input: Input, out: &mut Vec<Effect>) {
        self.give_up_late(at.now, out);
        let running = self.running;
        match input {
            Input::Wake => {}
            Input::CaughtUp { closings } => self.heard = self.heard.max(closings),
            Input::Request { asked, closings } => {
                self.heard = self.heard.max(closings);
                self.take(at, asked, out);
            }
            Input::Hook(hook) => {
                if let Hook::Activated(seed) = &hook {
                    self.serial = seed.serial;
                }
                out.push(Effect::Hook(hook));
            }
            Input::Ping { within } => {
                if !self.stopping && !std::mem::replace(&mut self.pinged, true) {
                    out.push(Effect::Ping { within });
                }
            }
            Input::Stop => self.stop(out),
            Input::Ended => self.running = self.running.saturating_sub(1),
            Input::Pinged => self.pinged = false,
            Input::ActivationFailed => self.failed = true,
            Input::Stopped => self.stopped = true,
        }
        if self.running <= running {
            self.begin_next(at, out);
        }
    }

    /// Whether nothing is left to be done, and the container is to be dropped.
    pub fn is_done(&self) -> bool {
        self.failed || (self.stopped && self.running == 0)
    }

    /// Whether a request waits for nothing but the gate, and maybe for what was said before it opened
    /// ([`Input::CaughtUp`]).
    pub fn waits_for_gate(&self) -> bool {
        self.has_turn() && !self.waiting.is_empty()
    }

    /// When a request is given up that has not begun by then, by the clock of [`Moment::now`].
    pub fn next_wake(&self) -> Option<Duration> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// Requests that have begun and not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    fn has_turn(&self) -> bool {
        !(self.serial && self.running > 0)
    }

    /// Whether a request may begin. Who has not heard everything waits for it, however open the gate.
    fn may_begin(&self, at: Moment) -> bool {
        at.open && self.heard == at.closings && self.has_turn()
    }

    fn take(&mut self, at: Moment, asked: Asked, out: &mut Vec<Effect>) {
        if self.stopping {
            return out.push(refused(asked.call, being_ended()));
        }
        if asked.until.is_some_and(|until| until <= at.now) {
            return out.push(refused(asked.call, too_late()));
        }
        if self.waiting.is_empty() && self.may_begin(at) {
            return self.begin(asked, out);
        }
        self.order += 1;
        if let Some(until) = asked.until {
            self.deadlines.insert((until, self.order));
        }
        self.waiting.insert(self.order, asked);
    }

    fn begin_next(&mut self, at: Moment, out: &mut Vec<Effect>) {
        if !self.may_begin(at) {
            return;
        }
        if let Some((order, asked)) = self.waiting.pop_first() {
            if let Some(until) = asked.until {
                self.deadlines.remove(&(until, order));
            }
            self.begin(asked, out);
        }
    }

    fn begin(&mut self, asked: Asked, out: &mut Vec<Effect>) {
        self.running += 1;
        out.push(Effect::Begin(asked));
    }

    fn give_up_late(&mut self, now: Duration, out: &mut Vec<Effect>) {
        while let Some((until, order)) = self.deadlines.first().copied() {
            if until > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(asked) = self.waiting.remove(&order) {
                out.push(refused(asked.call, too_late()));
            }
        }
    }

    fn stop(&mut self, out: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.deadlines.clear();
        let waiting = std::mem::take(&mut self.waiting);
        out.extend(
            waiting
                .into_values()
                .map(|asked| refused(asked.call, being_ended())),
        );
        out.push(Effect::Stop);
    }
}

fn refused(call: CallNumber, cause: ErrorPayload) -> Effect {
    Effect::Refuse { call, cause }
}

fn being_ended() -> ErrorPayload {
    let message = "the container is being ended; the request did not run";
    error(ErrorCode::Interrupted, message)
}

fn too_late() -> ErrorPayload {
    let message = "the container came to it too late for its caller; the request did not run";
    error(ErrorCode::TimedOut, message)
}

//! The connection's end, time, leaving.

use std::time::Duration;

use huly_protocol::{ErrorCode, ErrorPayload, Frame, Op, method};

use crate::feed::empty;
use crate::io::{CallError, Effect, Input, StopReason};
use crate::pending::Internal;
use crate::session::{Link, Session};

/// How much later than asked a wake-up may come until the process counts as having been paused.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the peer may take to note that we leave.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

impl Session {
    pub(crate) fn disconnected(&mut self, out: &mut Vec<Effect>) {
        if self.leaving.is_some() {
            return self.stop(StopReason::Left, out);
        }
        let lost = matches!(self.link, Link::Up | Link::Greeting { .. });
        self.down(out);
        self.cut(out);
        // A server that restarts is there again in a moment; one that refuses, not so soon.
        let after = match lost {
            true => self.jitter.millis(0, 50),
            false => self.jitter.millis(50, 250),
        };
        self.dial(after, out);
    }

    /// Gives a connection up from our side.
    pub(crate) fn give_up(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Hangup);
        self.down(out);
        self.cut(out);
        let after = self.jitter.millis(50, 250);
        self.dial(after, out);
    }

    fn down(&mut self, out: &mut Vec<Effect>) {
        if self.is_up() {
            out.push(Effect::Down);
        }
        self.link = Link::Dialing;
    }

    /// What time alone brings about.
    pub(crate) fn tick(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leaving.is_some_and(|until| until <= now) {
            return self.stop(StopReason::Left, out);
        }
        self.expire(now, out);
        match self.link {
            Link::Greeting { since } if since + self.patience() <= now => {
                self.counters.silences += 1;
                self.give_up(out);
            }
            Link::Up => {
                if now >= self.next_ping {
                    // A pause of our own: pongs of that time may be still to be read.
                    let late = now - self.next_ping;
                    if late > PAUSE {
                        self.last_pong = (self.last_pong + late).min(now);
                    }
                    self.ping(now, out);
                }
                if self.last_pong + self.patience() <= now {
                    self.counters.silences += 1;
                    return self.give_up(out);
                }
                self.pump(now, out);
            }
            _ => {}
        }
    }

    pub(crate) fn close(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leaving.is_some() {
            return;
        }
        if !matches!(self.link, Link::Up | Link::Greeting { .. }) {
            return self.stop(StopReason::Left, out);
        }
        let was_up = self.is_up();
        out.push(Effect::Send(Frame::bare(Op::Close)));
        // The answer to a ping after the close tells that the close was read.
        out.push(Effect::Send(Frame::bare(Op::Ping)));
        self.leaving = Some(now + LEAVE_TIMEOUT);
        self.link = Link::Closing;
        if was_up {
            out.push(Effect::Down);
        }
    }

    pub(crate) fn detach(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leaving.is_some() {
            return;
        }
        if !(self.is_up() && self.is_rust()) {
            return self.stop(StopReason::Left, out);
        }
        self.leaving = Some(now + LEAVE_TIMEOUT);
        self.ask(Internal::Detach, method::DETACH, empty());
    }

    pub(crate) fn fail_all(&mut self, reason: &StopReason, out: &mut Vec<Effect>) {
        let error = match reason {
            StopReason::Left => CallError::Closed,
            StopReason::Superseded(text) => {
                CallError::Failed(ErrorPayload::new(ErrorCode::Superseded, text.clone()))
            }
        };
        self.fail_pending(&error, out);
    }
}

/// Answers what comes after the end.
pub(crate) fn refuse(input: Input, out: &mut Vec<Effect>) {
    let closed = CallError::Closed;
    match input {
        Input::Call(call) => out.push(Effect::Answered {
            token: call.token,
            result: Err(closed),
        }),
        Input::Get { token, .. } => out.push(Effect::Got {
            token,
            result: Err(closed),
        }),
        Input::Connect { token, .. }
        | Input::Release {
            token: Some(token), ..
        } => out.push(Effect::Answered {
            token,
            result: Err(closed),
        }),
        _ => {}
    }
}

//! Answers to requests, and their absence.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{ErrorCode, ErrorPayload, Frame, Op};

use crate::config::Peer;
use crate::io::{CallError, Effect, StopReason, Token};
use crate::pending::{Body, Internal, Key, Owner, Pending, Stage};
use crate::session::Session;

/// A tick of a retry (W29).
const TICK: Duration = Duration::from_millis(500);
/// The longest wait that a retry can ask for, in ticks.
const MAX_TICKS: u32 = 10;
/// After which an internal request that failed is sent again, an idempotent one, and a get that no
/// agent can serve.
pub(crate) const INTERNAL_RETRY: Duration = Duration::from_millis(500);

impl Session {
    /// The peer asks for the same request again after a while.
    pub(crate) fn retry(&mut self, now: Duration, frame: &Frame, out: &mut Vec<Effect>) {
        let Some(key) = self.queue.by_id(&frame.id) else {
            return self.surprise(&frame.id);
        };
        let ticks = serde_json::from_slice::<f64>(&frame.payload).unwrap_or(1.0);
        let ticks = ticks.clamp(1.0, f64::from(MAX_TICKS));
        let at = now + TICK.mul_f64(ticks) + self.jitter.millis(0, 50);
        self.queue.stage(key, Stage::Retry { at });
        // Refused where it was sent first, it has not run.
        if let Some(request) = self.queue.get_mut(key)
            && request.sent_at.is_some()
        {
            request.ever_sent = false;
        }
        // A server of ours says this only to those whom it does not know: once it does, the
        // request goes out at once.
        if self.is_rust() && self.is_up() {
            self.say_hello(now, out);
            out.push(Effect::Down);
        }
    }

    pub(crate) fn answered(&mut self, now: Duration, frame: Frame, out: &mut Vec<Effect>) {
        let Some(key) = self.queue.by_id(&frame.id) else {
            return self.surprise(&frame.id);
        };
        let Some(request) = self.queue.get(key).filter(|request| request.ever_sent) else {
            self.counters.unknown_answers += 1;
            return;
        };
        let sent = request.sent_at.unwrap_or(self.hello_at);
        let result = match frame.op {
            Op::Response => Ok(frame.payload),
            _ => Err(CallError::Failed(ErrorPayload::read(&frame.payload))),
        };
        let code = match &result {
            Err(CallError::Failed(error)) => error.code,
            _ => None,
        };
        // An agent's own refusal tells its caller to ask the server instead.
        let again = match code {
            Some(ErrorCode::OutcomeUnknown) => true,
            Some(ErrorCode::Interrupted) => self.config.peer == Peer::Server,
            _ => false,
        };
        if again && request.idempotent {
            // The server was not told of it over this connection, so it takes the id for what is to
            // come again, and drops it.
            if request.stage == Stage::Queued {
                let id = self.next_id();
                self.queue.rename(key, id);
            }
            let at = now + INTERNAL_RETRY + self.jitter.millis(0, 50);
            return self.queue.stage(key, Stage::Retry { at });
        }
        let result = match result {
            Err(CallError::Failed(error)) if request.is_sent_twice() && says_not_run(&error) => {
                let message = format!(
                    "outcome unknown: it was sent directly before; now {}",
                    error.message
                );
                Err(CallError::Failed(ErrorPayload::new(
                    ErrorCode::OutcomeUnknown,
                    message,
                )))
            }
            // To the session before it was sent too, and whether it ran there this one cannot know.
            Err(CallError::Failed(error))
                if request.is_directly_again() && says_not_run(&error) =>
            {
                let message = format!("it was sent to a former session; now {}", error.message);
                Err(CallError::Failed(ErrorPayload::new(
                    ErrorCode::Interrupted,
                    message,
                )))
            }
            Err(CallError::Failed(error)) if self.is_unserved(key, &error) => {
                return self.try_unserved_later(now, key, error);
            }
            result => result,
        };
        let Some(request) = self.queue.remove(key) else {
            return;
        };
        if matches!(request.owner, Owner::Registers(_)) && result.is_ok() {
            self.registered = true;
            self.settle(now, request, result, out);
            let heard = self.heard_of.map_or(sent, |ping| ping.max(sent));
            return self.prolong(heard, out);
        }
        self.settle(now, request, result, out);
    }

    fn surprise(&mut self, id: &str) {
        if !self.queue.was_given_up(id) {
            self.counters.unknown_answers += 1;
        }
    }

    /// Tells whoever asked what came of a request that is pending no more.
    pub(crate) fn settle(
        &mut self,
        now: Duration,
        request: Pending,
        result: Result<Bytes, CallError>,
        out: &mut Vec<Effect>,
    ) {
        match request.owner {
            Owner::Caller(token) | Owner::Registers(token) | Owner::Release(Some(token)) => {
                out.push(Effect::Answered { token, result });
            }
            Owner::Connect { token, uuid } => {
                if result.is_ok() {
                    self.connected.insert(uuid);
                }
                out.push(Effect::Answered { token, result });
            }
            Owner::Release(None) | Owner::Internal(Internal::Quiet | Internal::Disconnect(_)) => {}
            Owner::Get { token, raw } => {
                if let Body::Get(params) = request.body {
                    self.got(token, *params, raw, result, out);
                }
            }
            Owner::Internal(Internal::Detach) => self.stop(StopReason::Left, out),
            Owner::Internal(what) => match result {
                Ok(payload) => self.internal_answered(&what, &payload, out),
                Err(_) => self.again_later(now, what),
            },
        }
    }

    /// An internal request failed: it is sent again, with what is true by then.
    fn again_later(&mut self, now: Duration, what: Internal) {
        let Some(key) = self.ask_again(what) else {
            return;
        };
        let at = now + INTERNAL_RETRY + self.jitter.millis(0, 50);
        self.queue.stage(key, Stage::Retry { at });
    }

    fn ask_again(&mut self, what: Internal) -> Option<Key> {
        match what {
            // An original server has no feed; asking again is of no use.
            Internal::Watch => self.is_rust().then(|| self.ask_feed()),
            Internal::Reassert(uuids) => self.ask_reassert(&uuids),
            Internal::Regain(uuid) => self.ask_regain(&uuid),
            Internal::Connect => self.ask_connect(),
            Internal::Quiet | Internal::Disconnect(_) | Internal::Detach => None,
        }
    }

    /// Deadlines and retries whose time has come.
    pub(crate) fn expire(&mut self, now: Duration, out: &mut Vec<Effect>) {
        while let Some(key) = self.queue.due_retry(now) {
            self.queue.stage(key, Stage::Queued);
        }
        while let Some(key) = self.queue.due_deadline(now) {
            self.time_out(key, out);
        }
    }

    fn time_out(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(request) = self.queue.get(key) else {
            return;
        };
        let may_have_run =
            request.is_container_call() && (request.ever_sent || request.sent_before);
        let held = request.stage == Stage::Held;
        let (code, message) = match may_have_run {
            true => (
                ErrorCode::OutcomeUnknown,
                "outcome unknown: the container did not answer in time",
            ),
            false if held => (
                ErrorCode::TimedOut,
                "after its restart the network server did not know the container again in time",
            ),
            false if request.ever_sent => (ErrorCode::TimedOut, "no answer in time"),
            false => (
                ErrorCode::TimedOut,
                "the network server could not be reached in time",
            ),
        };
        let refused = request.refused.clone();
        let error = refused.unwrap_or_else(|| ErrorPayload::new(code, message));
        let error = CallError::Failed(error);
        match request.owner {
            Owner::Get { token, .. } => {
                self.abandon_get(key, out);
                if let Some(token) = token {
                    let result = Err(error);
                    out.push(Effect::Got { token, result });
                }
            }
            _ => {
                if let Some(token) = self.queue.give_up(key).and_then(|r| r.owner.token()) {
                    let result = Err(error);
                    out.push(Effect::Answered { token, result });
                }
            }
        }
    }

    pub(crate) fn cancel(&mut self, token: Token, out: &mut Vec<Effect>) {
        let Some(key) = self.queue.by_token(token) else {
            return;
        };
        match self.queue.get(key).map(|request| &request.owner) {
            Some(Owner::Get { .. }) => self.abandon_get(key, out),
            // A release is to happen, whether somebody waits for it or not.
            Some(Owner::Release(_)) | None => {}
            _ => {
                self.queue.give_up(key);
            }
        }
    }

    pub(crate) fn fail_pending(&mut self, error: &CallError, out: &mut Vec<Effect>) {
        for key in self.queue.keys() {
            let Some(request) = self.queue.remove(key) else {
                continue;
            };
            let Some(token) = request.owner.token() else {
                continue;
            };
            let error = error.clone();
            out.push(match request.owner {
                Owner::Get { .. } => Effect::Got {
                    token,
                    result: Err(error),
                },
                _ => Effect::Answered {
                    token,
                    result: Err(error),
                },
            });
        }
    }
}

/// Whether it says of a request to a container that it did not run.
fn says_not_run(error: &ErrorPayload) -> bool {
    matches!(
        error.code,
        Some(
            ErrorCode::Busy
                | ErrorCode::Gone
                | ErrorCode::Interrupted
                | ErrorCode::NoSuchContainer
                | ErrorCode::TimedOut
        )
    )
}

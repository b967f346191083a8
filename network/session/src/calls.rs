//! Requests: sent, sent again, answered, given up.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{ErrorCode, ErrorPayload, Frame, Json, Op, Request, method};

use crate::io::{Call, CallError, Effect, Token};
use crate::pending::{Body, Internal, Key, Owner, Pending, Stage};
use crate::session::{Link, Session};

/// Requests in flight at an original server (W06).
const PLAIN_IN_FLIGHT: usize = 25;
/// A tick of a retry (W29).
const TICK: Duration = Duration::from_millis(500);
/// The longest wait that a retry can ask for, in ticks.
const MAX_TICKS: u32 = 10;
/// After which an internal request that failed is sent again.
const INTERNAL_RETRY: Duration = Duration::from_millis(500);

/// What the session itself and agents need comes before requests that depend on it.
fn priority(method: &str) -> u8 {
    match method {
        method::REGISTER_AGENT | method::REASSERT | method::WATCH | method::CONNECT => 0,
        _ => 1,
    }
}

/// Whether an original server knows the method.
fn is_original(name: &str) -> bool {
    !matches!(
        name,
        method::DETACH
            | method::REASSERT
            | method::WATCH
            | method::UNWATCH
            | method::DRAIN
            | method::SET_KIND
            | method::REMOVE_KINDS
            | method::LIST_KIND_SPECS
            | method::SYNC
    )
}

impl Session {
    pub(crate) fn call(&mut self, now: Duration, call: Call, out: &mut Vec<Effect>) {
        let Call { token, id, .. } = call;
        if call.fail_when_cut && !self.is_up() {
            let message = "there is no connection; the request was not sent";
            return self.failed(token, ErrorCode::Interrupted, message, out);
        }
        if id.as_ref().is_some_and(|id| self.queue.by_id(id).is_some()) {
            let message = "a request of this id is in flight already";
            return self.failed(token, ErrorCode::BadRequest, message, out);
        }
        let owner = match call.registers {
            true => Owner::Registers(token),
            false => Owner::Caller(token),
        };
        let mut request = Pending::new(
            id.unwrap_or_default(),
            call.method,
            Body::Json(call.params),
            owner,
        );
        request.deadline = self.deadline(now, call.timeout);
        request.only_in = call.only_in;
        request.fail_when_cut = call.fail_when_cut;
        self.enqueue(request);
    }

    fn failed(&mut self, token: Token, code: ErrorCode, message: &str, out: &mut Vec<Effect>) {
        out.push(Effect::Answered {
            token,
            result: Err(CallError::Failed(ErrorPayload::new(code, message))),
        });
    }

    pub(crate) fn deadline(&self, now: Duration, timeout: Option<Duration>) -> Option<Duration> {
        now.checked_add(timeout.unwrap_or(self.config.request_timeout))
    }

    pub(crate) fn enqueue(&mut self, mut request: Pending) {
        let number = self.queue.number();
        if request.id.is_empty() {
            request.id = format!("{}{number}", self.config.request_prefix);
        }
        self.queue
            .insert((priority(&request.method), number), request);
    }

    /// A request of the session's own.
    pub(crate) fn ask(&mut self, what: Internal, name: &'static str, params: Json) {
        let body = Body::Json(params);
        let owner = Owner::Internal(what);
        self.enqueue(Pending::new(String::new(), name.into(), body, owner));
    }

    /// Sends what may be sent.
    pub(crate) fn pump(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.link != Link::Up {
            return;
        }
        let limit = self.peer_answer().map_or(PLAIN_IN_FLIGHT, |answer| {
            answer.limits.requests_in_flight.max(1) as usize
        });
        while self.queue.in_flight() < limit {
            let Some(key) = self.queue.first_queued() else {
                return;
            };
            match self.payload(key) {
                Ok(payload) => self.transmit(now, key, payload, out),
                Err(error) => {
                    if let Some(request) = self.queue.remove(key) {
                        self.settle(now, request, Err(CallError::Failed(error)), out);
                    }
                }
            }
        }
    }

    /// The payload of a request, or why it cannot be sent to this peer.
    fn payload(&self, key: Key) -> Result<Bytes, ErrorPayload> {
        let Some(request) = self.queue.get(key) else {
            return Ok(Bytes::new());
        };
        let name = request.method.as_ref();
        let uuid = self.uuid();
        if request.only_in.is_some() && request.only_in.as_deref() != uuid {
            return Err(interrupted());
        }
        if !self.is_rust() && !is_original(name) {
            let message = format!("the network server is an original one: it knows no {name}");
            return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
        }
        let params = match &request.body {
            Body::Json(json) => json.clone(),
            Body::Get(params) => {
                let mut params = params.clone();
                if !self.is_rust() {
                    params.huly = None;
                }
                Json::of(&params).map_err(|error| {
                    ErrorPayload::new(ErrorCode::BadRequest, format!("wrong get: {error}"))
                })?
            }
        };
        let payload = Request::payload(name, params.text());
        let limit = self
            .peer_answer()
            .map_or(u64::MAX, |answer| answer.limits.message_bytes);
        if payload.len() as u64 > limit {
            let size = payload.len();
            let message = format!("the request has {size} bytes, the peer accepts {limit}");
            return Err(ErrorPayload::new(ErrorCode::Exhausted, message));
        }
        Ok(payload)
    }

    fn transmit(&mut self, now: Duration, key: Key, payload: Bytes, out: &mut Vec<Effect>) {
        self.queue.stage(key, Stage::Sent);
        if let Some(request) = self.queue.get_mut(key) {
            request.sent_at = (!request.ever_sent).then_some(now);
            request.ever_sent = true;
            let frame = Frame::new(Op::Request, request.id.clone(), payload);
            out.push(Effect::Send(frame));
        }
    }

    /// After hello was answered on a new connection, or by a fresh session: what had been sent is
    /// sent again, but for what made sense in the former session alone.
    pub(crate) fn requeue(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        let uuid = self.uuid().map(str::to_owned);
        for key in self.queue.keys() {
            let Some(request) = self.queue.get(key) else {
                continue;
            };
            let bound = request.only_in.is_some() && request.only_in != uuid;
            let made_again = matches!(
                request.owner,
                Owner::Internal(Internal::Reassert(_) | Internal::Regain(_) | Internal::Watch)
            );
            if request.owner == Owner::Internal(Internal::Connect) || (fresh && made_again) {
                self.queue.give_up(key);
            } else if bound {
                if let Some(token) = self.queue.give_up(key).and_then(|r| r.owner.token()) {
                    let result = Err(CallError::Failed(interrupted()));
                    out.push(Effect::Answered { token, result });
                }
            } else if request.stage == Stage::Sent {
                self.queue.stage(key, Stage::Queued);
            }
        }
    }

    pub(crate) fn requeue_retries(&mut self) {
        for key in self.queue.retrying() {
            self.queue.stage(key, Stage::Queued);
        }
    }

    /// The connection ended: calls that do not survive that fail.
    pub(crate) fn cut(&mut self, out: &mut Vec<Effect>) {
        for key in self.queue.keys() {
            if let Some(request) = self.queue.get_mut(key) {
                request.sent_at = None;
                if request.fail_when_cut
                    && let Some(token) = self.queue.give_up(key).and_then(|r| r.owner.token())
                {
                    let code = ErrorCode::Interrupted;
                    self.failed(token, code, "the connection ended before the answer", out);
                }
            }
        }
    }

    /// The peer asks for the same request again after a while.
    pub(crate) fn retry(&mut self, now: Duration, frame: &Frame, out: &mut Vec<Effect>) {
        let Some(key) = self.queue.by_id(&frame.id) else {
            return self.surprise(&frame.id);
        };
        let ticks = serde_json::from_slice::<f64>(&frame.payload).unwrap_or(1.0);
        let ticks = ticks.clamp(1.0, f64::from(MAX_TICKS));
        let at = now + TICK.mul_f64(ticks) + self.jitter.millis(0, 50);
        self.queue.stage(key, Stage::Retry { at });
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
    fn settle(
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
            Owner::Release(None) | Owner::Internal(Internal::Quiet) => {}
            Owner::Get { token, raw } => {
                if let Body::Get(params) = request.body {
                    self.got(token, *params, raw, result, out);
                }
            }
            Owner::Internal(Internal::Detach) => self.left(out),
            Owner::Internal(Internal::Connect) if result.is_err() => {
                // Some may have left the agent; the others are asked for again.
                let body = self.connect_body();
                self.again_later(now, Internal::Connect, request.method, body);
            }
            Owner::Internal(what) => match result {
                Ok(payload) => self.internal_answered(&what, &payload, out),
                Err(_) => self.again_later(now, what, request.method, request.body),
            },
        }
    }

    fn again_later(
        &mut self,
        now: Duration,
        what: Internal,
        name: std::borrow::Cow<'static, str>,
        body: Body,
    ) {
        // An original server has no feed; asking again is of no use.
        if what == Internal::Watch && !self.is_rust() {
            return;
        }
        let number = self.queue.number();
        let key = (priority(&name), number);
        let id = format!("{}{number}", self.config.request_prefix);
        self.queue
            .insert(key, Pending::new(id, name, body, Owner::Internal(what)));
        let at = now + INTERNAL_RETRY + self.jitter.millis(0, 50);
        self.queue.stage(key, Stage::Retry { at });
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
        let may_have_run = request.method == method::CONTAINER_REQUEST && request.ever_sent;
        let (code, message) = match may_have_run {
            true => (
                ErrorCode::OutcomeUnknown,
                "outcome unknown: the container did not answer in time",
            ),
            false if request.ever_sent => (ErrorCode::TimedOut, "no answer in time"),
            false => (
                ErrorCode::TimedOut,
                "the network server could not be reached in time",
            ),
        };
        let error = CallError::Failed(ErrorPayload::new(code, message));
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

fn interrupted() -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::Interrupted,
        "the network server's session is another one now; begin again",
    )
}

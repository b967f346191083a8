//! Requests: sent, sent again, answered, given up.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    CallerExt, ContainerCall, Epoch, ErrorCode, ErrorPayload, Frame, IN_FLIGHT_RESERVE, Json, Op,
    Request, method,
};

use crate::config::Peer;
use crate::io::{Call, CallError, Effect, Token};
use crate::pending::{Body, Internal, Key, Owner, Pending, Stage, Wait};
use crate::session::{Link, Session};

/// Requests in flight at an original server (W06).
const PLAIN_IN_FLIGHT: usize = 25;

/// What the session itself and agents need comes before requests that depend on it.
fn priority(request: &Pending) -> u8 {
    match request.method.as_ref() {
        _ if request.is_operation => 1,
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
            return self.failed(token, ErrorCode::Gone, message, out);
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
        request.epoch = call.epoch;
        request.sent_before = call.sent_before;
        request.idempotent = call.idempotent;
        request.chain = call.chain;
        request.is_operation = self.config.peer == Peer::Container;
        self.enqueue(request);
    }

    pub(crate) fn failed(
        &mut self,
        token: Token,
        code: ErrorCode,
        message: &str,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Answered {
            token,
            result: Err(CallError::Failed(ErrorPayload::new(code, message))),
        });
    }

    pub(crate) fn deadline(&self, now: Duration, timeout: Option<Duration>) -> Option<Duration> {
        now.checked_add(timeout.unwrap_or(self.config.request_timeout))
    }

    pub(crate) fn enqueue(&mut self, mut request: Pending) -> Key {
        let number = self.queue.number();
        if request.id.is_empty() {
            request.id = self.id_of(number);
        }
        let key = (priority(&request), number);
        self.queue.insert(key, request);
        key
    }

    fn id_of(&self, number: u64) -> String {
        format!("{}{number}", self.config.request_prefix)
    }

    /// An id that no request has had.
    pub(crate) fn next_id(&mut self) -> String {
        let number = self.queue.number();
        self.id_of(number)
    }

    /// A request of the session's own.
    pub(crate) fn ask(&mut self, what: Internal, name: &'static str, params: Json) -> Key {
        let body = Body::Json(params);
        let owner = Owner::Internal(what);
        self.enqueue(Pending::new(String::new(), name.into(), body, owner))
    }

    /// Sends what may be sent.
    pub(crate) fn pump(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.link != Link::Up {
            return;
        }
        let (limit, reserve) = self.peer_answer().map_or((PLAIN_IN_FLIGHT, 0), |answer| {
            let limit = answer.limits.requests_in_flight.max(1);
            (limit as usize, IN_FLIGHT_RESERVE as usize)
        });
        loop {
            let in_flight = self.queue.in_flight();
            let longest = if in_flight < limit {
                Some(Wait::ForContainer)
            } else if in_flight < limit + reserve {
                Some(Wait::ForPlacement)
            } else {
                // An original server counts them all.
                self.is_rust().then_some(Wait::Not)
            };
            let next = longest.and_then(|longest| self.queue.first_queued(longest));
            let Some(key) = next else { return };
            if self.waits_for_regain(key) {
                self.queue.stage(key, Stage::Held);
                continue;
            }
            if !self.is_still_meant(key) {
                self.queue.remove(key);
                continue;
            }
            self.note_life(key);
            match self.payload(now, key) {
                Ok(payload) => self.transmit(now, key, payload, out),
                Err(error) => {
                    if let Some(request) = self.queue.remove(key) {
                        self.settle(now, request, Err(CallError::Failed(error)), out);
                    }
                }
            }
        }
    }

    /// A request that was not sent yet runs in the life of its container that is known now, whatever its
    /// caller took it for. Of what is not held nobody says when it has another.
    fn note_life(&mut self, key: Key) {
        if !self.is_rust() || self.config.peer != Peer::Server {
            return;
        }
        let Some(request) = self.queue.get_mut(key).filter(|one| !one.is_again()) else {
            return;
        };
        let said = request.epoch;
        if let Some(uuid) = request.asked() {
            let held = self.references.location(uuid);
            request.epoch = held.and_then(|at| at.epoch().or(said));
        }
    }

    /// The payload of a request, or why it cannot be sent to this peer.
    fn payload(&self, now: Duration, key: Key) -> Result<Bytes, ErrorPayload> {
        let Some(request) = self.queue.get(key) else {
            return Ok(Bytes::new());
        };
        let name = request.method.as_ref();
        let uuid = self.uuid();
        if request.only_in.is_some() && request.only_in.as_deref() != uuid {
            return Err(interrupted());
        }
        if !self.is_rust() && !request.is_operation && !is_original(name) {
            let message = format!("the network server is an original one: it knows no {name}");
            return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
        }
        let ext = match self.is_rust() && request.is_container_call() {
            true => Some(caller_ext(now, request)?),
            false => None,
        };
        if let (Body::Json(data), true) = (&request.body, request.is_operation) {
            let payload = Request::direct_payload(name, data.raw(), ext);
            return self.fitting(payload.map_err(|error| wrong_request(&error))?);
        }
        let params = match &request.body {
            Body::Json(json) => match ext {
                Some(ext) => with_ext(json, ext)?,
                None => json.clone(),
            },
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
        self.fitting(Request::payload(name, params.text()))
    }

    /// A payload that the peer takes.
    fn fitting(&self, payload: Bytes) -> Result<Bytes, ErrorPayload> {
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
            let again = request.is_again();
            self.counters.resent += u64::from(again && request.owner.token().is_some());
            request.sent_at = (!request.ever_sent).then_some(now);
            request.ever_sent = true;
            request.former = false;
            let frame = Frame::new(Op::Request, request.id.clone(), payload);
            out.push(Effect::Send(frame));
        }
    }

    /// After hello was answered on a new connection, or by a fresh session: what had been sent is
    /// sent again, but for what made sense in the former session alone.
    pub(crate) fn requeue(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        let (uuid, rust) = (self.uuid().map(str::to_owned), self.is_rust());
        for key in self.queue.keys() {
            let Some(request) = self.queue.get_mut(key) else {
                continue;
            };
            request.former |= fresh && request.ever_sent;
            // The server that knew it is gone, or its answer is lost: it cannot be told whether the
            // container of now is the one that was asked.
            let lost = fresh && rust && request.ever_sent && request.in_unknown_life();
            let bound = request.only_in.is_some() && request.only_in != uuid;
            let made_again = matches!(
                request.owner,
                Owner::Internal(Internal::Reassert(_) | Internal::Regain(_) | Internal::Watch)
            );
            if request.owner == Owner::Internal(Internal::Connect) || (fresh && made_again) {
                self.queue.give_up(key);
            } else if lost || bound {
                let error = if lost { unknown_life() } else { interrupted() };
                if let Some(token) = self.queue.give_up(key).and_then(|r| r.owner.token()) {
                    let result = Err(CallError::Failed(error));
                    out.push(Effect::Answered { token, result });
                }
            } else if request.stage == Stage::Sent {
                self.queue.stage(key, Stage::Queued);
            }
        }
    }

    /// A container that is held has another life now. A request that was sent may run in either, so
    /// that it cannot be said any more in which one; one that was not will run in this one. One that
    /// only former sessions know is still to be sent, and names the life before: it is not run in
    /// this one.
    pub(crate) fn has_moved(&mut self, uuid: &str, epoch: Option<Epoch>) {
        let Some(epoch) = epoch else { return };
        for key in self.queue.keys() {
            let Some(request) = self.queue.get_mut(key) else {
                continue;
            };
            let other = request.epoch.is_some_and(|known| known != epoch);
            if other && !request.former && request.asks(uuid) {
                request.epoch = (!request.ever_sent && !request.sent_before).then_some(epoch);
            }
        }
    }

    /// A container is held no more: nobody says any more when it has another life. What was sent to it
    /// may run there, unless it names its life.
    pub(crate) fn is_let_go(&mut self, uuid: &str) {
        for key in self.queue.keys() {
            let Some(request) = self.queue.get_mut(key) else {
                continue;
            };
            let names_it = request.former || request.sent_before;
            if request.epoch.is_some() && request.ever_sent && !names_it && request.asks(uuid) {
                request.epoch = None;
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
                let sent = request.ever_sent;
                if request.fail_when_cut
                    && let Some(token) = self.queue.give_up(key).and_then(|r| r.owner.token())
                {
                    let code = if sent {
                        ErrorCode::Interrupted
                    } else {
                        ErrorCode::Gone
                    };
                    self.failed(token, code, "the connection ended before the answer", out);
                }
            }
        }
    }
}

/// What is said beside a request to a container; or why it must not be sent.
fn caller_ext(now: Duration, request: &Pending) -> Result<CallerExt, ErrorPayload> {
    if request.sent_before && request.in_unknown_life() {
        return Err(unknown_life());
    }
    let left = request
        .deadline
        .map(|at| at.saturating_sub(now).as_millis());
    Ok(CallerExt {
        epoch: request
            .epoch
            .filter(|_| request.is_again() && !request.idempotent),
        timeout_ms: left.and_then(|left| u64::try_from(left).ok()),
        chain: request.chain.clone(),
    })
}

fn wrong_request(error: &serde_json::Error) -> ErrorPayload {
    ErrorPayload::new(ErrorCode::BadRequest, format!("wrong request: {error}"))
}

/// The parameters of a request to a container, with what is said beside them.
fn with_ext(params: &Json, ext: CallerExt) -> Result<Json, ErrorPayload> {
    let wrong = |error: serde_json::Error| wrong_request(&error);
    let mut call: ContainerCall<'_> = serde_json::from_str(params.text()).map_err(wrong)?;
    call.ext = Some(ext);
    Json::of(&call).map_err(wrong)
}

fn unknown_life() -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::OutcomeUnknown,
        "outcome unknown: the connection ended before the answer, and without a reference to the \
         container a request is not sent again, for it might run twice",
    )
}

fn interrupted() -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::Interrupted,
        "the network server's session is another one now; begin again",
    )
}

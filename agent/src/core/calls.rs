//! Requests to containers: admitted once, handed over in order, answered on every route.

mod refusal;

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{CallExt, CallerExt, ContainerCall, ErrorCode, ErrorPayload, Frame, Json, Op};

use super::answers::{Key, Name, Seen};
use super::container::Container;
use super::link::read_ext;
use super::types::{
    Asked, CallNumber, Conn, Door, Effect, EndReport, Id, Observed, Route, Run, Token,
};
use super::{Agent, Deadline, error};
use refusal::refusal;

/// A request without an answer.
#[derive(Debug)]
pub(super) struct PendingCall {
    run: Run,
    uuid: Id,
    kind: Id,
    /// Absent where the caller did not say who it is (a TypeScript server).
    key: Option<Key>,
    replies: Vec<Reply>,
    route: Route,
    /// Of its data.
    bytes: usize,
    since: Duration,
    /// For how long it may wait to be handed over.
    hold: Duration,
    dispatched: bool,
}

/// Who asks, and what it says of its request.
#[derive(Debug)]
pub(super) struct Caller {
    /// Absent where a TypeScript server does not say.
    pub(super) name: Option<Name>,
    /// What it says beside it.
    pub(super) ext: CallerExt,
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Reply {
    Server(Token),
    Client(Asker),
}

impl Reply {
    fn route(&self) -> Route {
        match self {
            Self::Server(_) => Route::Routed,
            Self::Client(_) => Route::Direct,
        }
    }

    fn over(&self) -> Option<&Bytes> {
        match self {
            Self::Server(_) => None,
            Self::Client(asker) => asker.over.as_ref(),
        }
    }

    /// Whether it goes to who asks the same again, and so to nobody any more.
    fn is_replaced_by(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Server(token), Self::Server(again)) => token == again,
            (Self::Client(asker), Self::Client(again)) => {
                asker.door == again.door
                    && asker.client == again.client
                    && asker.request == again.request
            }
            _ => false,
        }
    }
}

/// A client of a ROUTER and its request.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) door: Door,
    pub(super) client: Id,
    pub(super) request: Id,
    /// The connection of a TypeScript client. Over another one it asks again, or another sender of its
    /// has a request of that id.
    pub(super) over: Option<Bytes>,
}

impl Agent {
    pub(super) fn routed_request(
        &mut self,
        token: Token,
        params: &Json,
        ext: Option<&Json>,
    ) -> Result<Option<Json>, ErrorPayload> {
        let call: ContainerCall<'_> = read_call(params.text())?;
        let ext: CallExt = read_ext(ext)?;
        if let Some(epoch) = ext.epoch
            && let Some(container) = self.containers.get(call.uuid.as_ref())
            && container.epoch() != Some(epoch)
        {
            let message = format!("container {} has another epoch here", call.uuid);
            return Err(error(ErrorCode::Gone, message));
        }
        let name = ext.client.zip(ext.request);
        let caller = Caller {
            name: name.map(|(client, request)| Name {
                client: Id::from(client),
                request: Id::from(request),
                counted: None,
            }),
            ext: CallerExt {
                // The server itself has judged it.
                epoch: None,
                timeout_ms: ext.timeout_ms,
                chain: ext.chain,
            },
        };
        self.admit(&call, caller, Reply::Server(token))
    }

    /// Takes a request: the answer if it is known already, nothing if it comes later.
    pub(super) fn admit(
        &mut self,
        call: &ContainerCall<'_>,
        caller: Caller,
        reply: Reply,
    ) -> Result<Option<Json>, ErrorPayload> {
        let Some(container) = self.containers.get_mut(call.uuid.as_ref()) else {
            let message = format!("there is no container {}", call.uuid);
            return Err(error(ErrorCode::NoSuchContainer, message));
        };
        let run = container.run;
        let client = caller.name.as_ref().map(|name| name.client.clone());
        let key = caller.name.clone().map(|name| Key { run, name });
        let over = reply.over().cloned();
        let asked = key.as_ref();
        match asked.and_then(|key| self.answers.asked(key, over.as_ref())) {
            Some(Seen::Answered(result)) => return result.clone().map(Some),
            Some(Seen::Running(running)) => {
                if let Some(pending) = self.calls.get_mut(running) {
                    pending.replies.retain(|one| !one.is_replaced_by(&reply));
                    pending.replies.push(reply);
                }
                return Ok(None);
            }
            None => {}
        }
        let bytes = call.data.get().len();
        if let Some(cause) = refusal(container, &caller, bytes, &self.config) {
            let observed = Observed::Request {
                kind: container.kind.clone(),
                route: reply.route(),
                outcome: code(&cause),
                took: Duration::ZERO,
            };
            self.effect(Effect::Observed(observed));
            return Err(cause);
        }
        let patience = caller.ext.patience();
        container.last_visit = self.now;
        self.counter += 1;
        let number = CallNumber(self.counter);
        container.calls.insert(number);
        container.call_bytes += bytes;
        container.waiting.push_back(Asked {
            call: number,
            operation: call.operation.to_string(),
            data: Json::from(call.data),
            client,
            until: patience.map(|patience| self.now + patience),
            chain: caller.ext.chain,
        });
        self.waiting += 1;
        let (uuid, kind) = (container.uuid.clone(), container.kind.clone());
        if let Some(key) = &key {
            self.answers.running(key.clone(), over, number);
        }
        let hold = self.config.hold.min(patience.unwrap_or(Duration::MAX));
        let pending = PendingCall {
            run,
            uuid: uuid.clone(),
            kind,
            key,
            route: reply.route(),
            replies: vec![reply],
            bytes,
            since: self.now,
            hold,
            dispatched: false,
        };
        self.calls.insert(number, pending);
        if !self.dispatch_waiting(&uuid) {
            self.deadlines
                .insert((self.now + hold, Deadline::Hold(number)));
        }
        Ok(None)
    }

    /// Hands over what waits, in the order in which it came; returns whether it may.
    pub(super) fn dispatch_waiting(&mut self, uuid: &Id) -> bool {
        let Some(container) = self.containers.get(uuid) else {
            return false;
        };
        if !container.is_live() || !self.has_lease_for(container) {
            return false;
        }
        let Some(container) = self.containers.get_mut(uuid) else {
            return false;
        };
        let run = container.run;
        for asked in container.waiting.drain(..) {
            self.waiting -= 1;
            self.deadlines.waits_no_more(asked.call);
            if let Some(pending) = self.calls.get_mut(&asked.call) {
                pending.dispatched = true;
            }
            self.out.push(Effect::Dispatch { run, asked });
        }
        true
    }

    /// A container answered.
    pub(super) fn answered(&mut self, call: CallNumber, result: Result<Json, ErrorPayload>) {
        let Some(pending) = self.calls.remove(&call) else {
            return;
        };
        if let Some(container) = self.containers.get_mut(&pending.uuid)
            && container.run == pending.run
        {
            container.forget_call(call, pending.bytes);
        }
        if let Some(key) = &pending.key {
            match &result {
                // The container says that it did nothing: sent again, it is asked again.
                Err(cause) if cause.code == Some(ErrorCode::Busy) => self.answers.forget(key),
                result => self.answers.answered(self.now, key.clone(), result),
            }
        }
        self.conclude(pending, result);
    }

    /// A request that was not handed over within its time.
    pub(super) fn hold_is_over(&mut self, call: CallNumber) {
        if self.calls.get(&call).is_none_or(|call| call.dispatched) {
            return;
        }
        let Some(pending) = self.calls.remove(&call) else {
            return;
        };
        if let Some(container) = self.containers.get_mut(&pending.uuid) {
            container.forget_call(call, pending.bytes);
            container.waiting.retain(|waiting| waiting.call != call);
            self.waiting -= 1;
        }
        let message = format!(
            "container {} could not be asked within {} ms; the request did not run",
            pending.uuid,
            pending.hold.as_millis()
        );
        self.give_up(pending, error(ErrorCode::TimedOut, message));
    }

    /// Requests that wait for a container that is being ended.
    pub(super) fn give_up_waiting(&mut self, uuid: &Id) {
        let Some(container) = self.containers.get_mut(uuid) else {
            return;
        };
        let waiting = std::mem::take(&mut container.waiting);
        self.waiting -= waiting.len();
        let calls = waiting.iter().filter_map(|asked| {
            let pending = self.calls.remove(&asked.call)?;
            container.forget_call(asked.call, pending.bytes);
            Some((asked.call, pending))
        });
        for (call, pending) in calls.collect::<Vec<_>>() {
            let message = format!("container {uuid} is being ended; the request did not run");
            self.deadlines.waits_no_more(call);
            self.give_up(pending, error(ErrorCode::Interrupted, message));
        }
    }

    /// Requests of a container that has ended.
    pub(super) fn fail_calls(&mut self, container: &Container, how: &EndReport) {
        self.waiting -= container.waiting.len();
        let uuid = &container.uuid;
        for call in &container.calls {
            let Some(pending) = self.calls.remove(call) else {
                continue;
            };
            if !pending.dispatched {
                self.deadlines.waits_no_more(*call);
                let message = format!("container {uuid} ended; the request did not run");
                self.give_up(pending, error(ErrorCode::Interrupted, message));
                continue;
            }
            let message = match how {
                EndReport::Panicked(panic) => {
                    format!("outcome unknown: container {uuid} panicked: {panic}")
                }
                _ => format!("outcome unknown: container {uuid} ended before it answered"),
            };
            self.conclude(pending, Err(error(ErrorCode::OutcomeUnknown, message)));
        }
    }

    /// Ends a request that did not run: sent again, it may.
    fn give_up(&mut self, pending: PendingCall, cause: ErrorPayload) {
        if let Some(key) = &pending.key {
            self.answers.forget(key);
        }
        self.conclude(pending, Err(cause));
    }

    fn conclude(&mut self, pending: PendingCall, result: Result<Json, ErrorPayload>) {
        self.effect(Effect::Observed(Observed::Request {
            kind: pending.kind,
            route: pending.route,
            outcome: outcome(&result),
            took: self.now.saturating_sub(pending.since),
        }));
        for reply in pending.replies {
            match reply {
                Reply::Server(token) => self.answer_server(token, result.clone()),
                Reply::Client(asker) => self.answer_client(&asker, result.clone()),
            }
        }
    }

    /// A TypeScript client says over a connection that it sends nothing more.
    pub(super) fn forget_sender(&mut self, conn: &Conn) {
        for call in self.answers.closed(conn.door, &conn.name) {
            if let Some(pending) = self.calls.get_mut(&call) {
                pending.key = None;
                pending
                    .replies
                    .retain(|reply| reply.over() != Some(&conn.name));
            }
        }
    }

    /// Answers a request of a client of a ROUTER, over the connection that it has now.
    pub(super) fn answer_client(&mut self, asker: &Asker, result: Result<Json, ErrorPayload>) {
        let (door, request) = (asker.door, &asker.request);
        let sessions = self.doors.get_mut(door);
        let Some(session) = sessions.and_then(|all| all.get_mut(&asker.client)) else {
            return;
        };
        session.in_flight.remove(request);
        let here = |name: &Bytes| asker.over.as_ref().is_none_or(|over| over == name);
        let Some(name) = session.conn.clone().filter(here) else {
            return;
        };
        let frame = match result {
            Ok(data) => Frame::new(Op::Response, &**request, data.into_bytes()),
            Err(error) if session.is_rust() => {
                Frame::new(Op::ResponseError, &**request, error.bytes())
            }
            // What did not run it sends again by itself.
            Err(error) if error.code == Some(ErrorCode::Busy) => {
                return self.retry(Conn { door, name }, request.to_string());
            }
            Err(error) => Frame::new(Op::ResponseError, &**request, error.plain().bytes()),
        };
        let conn = Conn { door, name };
        self.effect(Effect::Send { conn, frame });
    }
}

pub(super) fn read_call(params: &str) -> Result<ContainerCall<'_>, ErrorPayload> {
    serde_json::from_str(params).map_err(|cause| {
        let message = format!("wrong parameters of a request to a container: {cause}");
        error(ErrorCode::BadRequest, message)
    })
}

/// The label of an outcome in the metrics.
fn outcome(result: &Result<Json, ErrorPayload>) -> &'static str {
    result.as_ref().err().map_or("ok", code)
}

fn code(error: &ErrorPayload) -> &'static str {
    match error.code {
        Some(ErrorCode::BadRequest) => "badRequest",
        Some(ErrorCode::Busy) => "busy",
        Some(ErrorCode::Gone) => "gone",
        Some(ErrorCode::Interrupted) => "interrupted",
        Some(ErrorCode::OutcomeUnknown) => "outcomeUnknown",
        Some(ErrorCode::TimedOut) => "timedOut",
        Some(ErrorCode::Reentrant) => "reentrant",
        Some(ErrorCode::Exhausted) => "exhausted",
        _ => "failed",
    }
}

//! Calls from the server to agents, and requests of clients on their way to containers.

use bytes::Bytes;
use huly_protocol::{
    CallExt, CallerExt, ContainerCall, Epoch, ErrorCode, ErrorPayload, Frame, Json, Op, Request,
    method,
};
use serde_json::value::RawValue;

use crate::entry::{Entry, HeldCall, State};
use crate::registry::{Id, Registry};
use crate::requests::Outcome;
use crate::timer::Timer;

/// Requests that may be held for one container.
const MAX_HELD: usize = 1_024;

/// What a call to an agent is for.
#[derive(Debug, Clone)]
pub(crate) enum CallKind {
    /// Starts a container.
    Start { uuid: Id },
    /// Ends one.
    Terminate { uuid: Id },
    /// Carries a client's request.
    Request {
        uuid: Id,
        client: Id,
        request: String,
    },
    /// Nobody waits for the answer.
    Other,
}

/// A call to an agent that is not answered yet.
#[derive(Debug)]
pub(crate) struct BackCall {
    pub(crate) agent: Id,
    /// The client that serves the agent: an answer counts from it alone.
    client: Id,
    kind: CallKind,
    payload: Bytes,
}

impl Registry {
    /// Calls an agent; returns the call's number.
    pub(crate) fn call(
        &mut self,
        agent: &Id,
        method: &str,
        params: &str,
        ext: Option<String>,
        kind: CallKind,
    ) -> Option<u64> {
        let client = self.agents.get(agent)?.client.clone();
        let name = serde_json::to_string(&**agent).unwrap_or_default();
        let mut all = String::with_capacity(name.len() + params.len() + 4);
        all.push('[');
        all.push_str(&name);
        all.push(',');
        all.push_str(params);
        if let Some(ext) = ext {
            all.push(',');
            all.push_str(&ext);
        }
        all.push(']');
        let payload = Request::payload(method, &all);
        self.ids += 1;
        let number = self.ids;
        let frame = Frame::new(Op::Request, self.call_id(number), payload.clone());
        let call = BackCall {
            agent: agent.clone(),
            client: client.clone(),
            kind,
            payload,
        };
        self.calls.insert(number, call);
        self.send_to_client(&client, frame);
        Some(number)
    }

    /// The id of a call on the wire: no other server process makes the same (W23).
    fn call_id(&self, number: u64) -> String {
        format!("{}-{number}", self.config.instance)
    }

    fn call_number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(self.config.instance.as_str())?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Sends unanswered calls again over a new connection; agents know those that they run.
    pub(crate) fn resend_calls(&mut self, client: &Id) {
        let frames: Vec<Frame> = self
            .calls
            .iter()
            .filter(|(_, call)| call.client == *client)
            .map(|(number, call)| {
                Frame::new(Op::Request, self.call_id(*number), call.payload.clone())
            })
            .collect();
        for frame in frames {
            self.send_to_client(client, frame);
        }
    }

    /// An agent is served by another client now, maybe another process: what was asked of the
    /// former one may have run, what is the server's own is asked again.
    pub(crate) fn move_calls(&mut self, agent: &Id, client: &Id) {
        self.fail_calls(agent, None);
        for call in self.calls.values_mut() {
            if call.agent == *agent {
                call.client = client.clone();
            }
        }
        self.resend_calls(client);
    }

    /// What says beside a `ct` which life of the container is meant; TypeScript agents get none.
    pub(crate) fn epoch_ext(&self, agent: &Id, epoch: Option<Epoch>) -> Option<String> {
        self.agents.get(agent).filter(|agent| agent.rust)?;
        let ext = CallExt {
            epoch,
            ..CallExt::default()
        };
        serde_json::to_string(&ext).ok()
    }

    /// An answer of an agent.
    pub(crate) fn answer(&mut self, client: &Id, frame: Frame) {
        let number = self.call_number(&frame.id);
        let asked = number.and_then(|number| self.calls.get(&number));
        let (Some(number), true) = (number, asked.is_some_and(|call| call.client == *client))
        else {
            return self.bad_message("unknown_answer");
        };
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let ok = frame.op == Op::Response;
        match call.kind {
            CallKind::Start { uuid } => {
                let answer = match ok {
                    false => Err(ErrorPayload::read(&frame.payload)),
                    true => serde_json::from_slice(&frame.payload).map_err(|error| {
                        let message =
                            format!("agent {} answered a get wrongly: {error}", call.agent);
                        ErrorPayload::new(ErrorCode::Failed, message)
                    }),
                };
                self.started(&call.agent, &uuid, answer);
            }
            CallKind::Terminate { uuid } => self.stopped(&call.agent, &uuid),
            CallKind::Request {
                client, request, ..
            } if ok => {
                if serde_json::from_slice::<&RawValue>(&frame.payload).is_err() {
                    self.bad_message("bad_answer");
                    let message = format!("agent {} answered with what is not JSON", call.agent);
                    let error = ErrorPayload::new(ErrorCode::Failed, message);
                    return self.respond_error(&client, &request, error);
                }
                self.respond(&client, &request, frame.payload);
            }
            CallKind::Request {
                client, request, ..
            } => {
                self.respond_error(&client, &request, ErrorPayload::read(&frame.payload));
            }
            CallKind::Other => {}
        }
    }

    pub(crate) fn call_timed_out(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        match call.kind {
            CallKind::Start { uuid } => {
                let message = format!("agent {} did not answer in time", call.agent);
                let error = ErrorPayload::new(ErrorCode::TimedOut, message);
                self.end_late_start(&call.agent, &uuid);
                self.started(&call.agent, &uuid, Err(error));
            }
            CallKind::Terminate { uuid } => self.stopped(&call.agent, &uuid),
            CallKind::Request { .. } | CallKind::Other => {}
        }
    }

    /// A start that was given up may still happen: then its container is to be ended.
    fn end_late_start(&mut self, agent: &Id, uuid: &Id) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let params = serde_json::to_string(&[&**uuid]).unwrap_or_default();
        let ext = self.epoch_ext(agent, entry.epoch);
        self.call(agent, method::TERMINATE, &params, ext, CallKind::Other);
    }

    /// Requests that an agent (or one container of it) will not answer any more: they may have run.
    pub(crate) fn fail_calls(&mut self, agent: &Id, container: Option<&Id>) {
        let lost: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.agent == *agent)
            .filter(|(_, call)| match (&call.kind, container) {
                (CallKind::Request { uuid, .. }, Some(container)) => uuid == container,
                (CallKind::Request { .. } | CallKind::Other, None) => true,
                _ => false,
            })
            .map(|(number, _)| *number)
            .collect();
        for number in lost {
            let Some(call) = self.calls.remove(&number) else {
                continue;
            };
            if let CallKind::Request {
                uuid,
                client,
                request,
            } = call.kind
            {
                let message = format!(
                    "outcome unknown: container {uuid} left agent {agent} before it answered"
                );
                let error = ErrorPayload::new(ErrorCode::OutcomeUnknown, message);
                self.respond_error(&client, &request, error);
            }
        }
    }

    /// A client's request to a container (`cs`): handed on, held, or refused.
    pub(crate) fn container_request(&mut self, client: &Id, id: &str, raw: &RawValue) -> Outcome {
        let call: ContainerCall<'_> = serde_json::from_str(raw.get()).map_err(|error| {
            let message = format!("wrong parameters of cs: {error}");
            ErrorPayload::new(ErrorCode::BadRequest, message)
        })?;
        let visit = self.since_start_ms();
        let Some(entry) = self.entries.get_mut(call.uuid.as_ref()) else {
            if !self.settling() {
                return Err(no_such_container(&call.uuid));
            }
            let uuid = Id::from(call.uuid.as_ref());
            return self.hold_call(client, id, uuid, &call);
        };
        entry.last_visit = visit;
        let uuid = entry.uuid.clone();
        if let Some(error) = other_life(entry, call.ext) {
            return Err(error);
        }
        match &entry.state {
            State::Live { agent } if self.agents.get(agent).is_some_and(|a| !a.suspected) => {
                let agent = agent.clone();
                self.forward(client, id, &agent, &uuid, &call.operation, call.data);
                Ok(None)
            }
            State::Stopping { .. } if !entry.wanted() => {
                let message = format!("container {uuid} is being ended");
                Err(ErrorPayload::new(ErrorCode::Gone, message))
            }
            _ => self.hold_call(client, id, uuid, &call),
        }
    }

    fn forward(
        &mut self,
        client: &Id,
        id: &str,
        agent: &Id,
        uuid: &Id,
        operation: &str,
        data: &RawValue,
    ) {
        let Ok(params) = serde_json::to_string(&(&**uuid, operation, data)) else {
            return;
        };
        let rust = self.agents.get(agent).is_some_and(|agent| agent.rust);
        let ext = rust.then(|| CallExt {
            epoch: self.entries.get(uuid).and_then(|entry| entry.epoch),
            client: Some(client.to_string()),
            request: Some(id.to_owned()),
            timeout_ms: None,
        });
        let ext = ext.and_then(|ext| serde_json::to_string(&ext).ok());
        let kind = CallKind::Request {
            uuid: uuid.clone(),
            client: client.clone(),
            request: id.to_owned(),
        };
        self.call(agent, method::CONTAINER_REQUEST, &params, ext, kind);
    }

    fn hold_call(&mut self, client: &Id, id: &str, uuid: Id, call: &ContainerCall<'_>) -> Outcome {
        let bytes = call.data.get().len();
        let known = self.entries.get_mut(&uuid);
        let held = match known {
            Some(entry) => &mut entry.held,
            None => self.early_calls.entry(uuid.clone()).or_default(),
        };
        if held.len() >= MAX_HELD || self.held_bytes + bytes > self.config.hold_bytes {
            let message = format!("too many requests wait for container {uuid} to be placed");
            return Err(ErrorPayload::new(ErrorCode::Busy, message));
        }
        let until = self.now.mono + self.config.hold_timeout;
        held.push(HeldCall {
            client: client.clone(),
            request: id.to_owned(),
            operation: call.operation.to_string(),
            data: Json::from(call.data),
            ext: call.ext,
            until,
        });
        self.held_bytes += bytes;
        self.timers.set(until, Timer::Hold(uuid.clone()));
        if let Some(session) = self.sessions.get_mut(client)
            && let Some(flight) = session.in_flight.get_mut(id)
        {
            flight.waits_for = Some(uuid);
        }
        Ok(None)
    }

    fn take_held(&mut self, held: Vec<HeldCall>) -> Vec<HeldCall> {
        let bytes: usize = held.iter().map(|call| call.data.text().len()).sum();
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        held
    }

    /// Hands on what was held for a container, in the order in which it came.
    pub(crate) fn release_held(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let State::Live { agent } = &entry.state else {
            return;
        };
        let agent = agent.clone();
        let held = std::mem::take(&mut entry.held);
        for call in self.take_held(held) {
            let entry = self.entries.get(uuid);
            if let Some(error) = entry.and_then(|entry| other_life(entry, call.ext)) {
                self.respond_error(&call.client, &call.request, error);
                continue;
            }
            let (operation, data) = (call.operation.as_str(), call.data.raw());
            self.forward(&call.client, &call.request, &agent, uuid, operation, data);
        }
    }

    /// Requests for a container that has just been registered.
    pub(crate) fn take_early_calls(&mut self, uuid: &Id) {
        if let Some(held) = self.early_calls.remove(uuid)
            && let Some(entry) = self.entries.get_mut(uuid)
        {
            entry.held.splice(..0, held);
            self.release_held(uuid);
        }
    }

    pub(crate) fn fail_early_calls(&mut self) {
        for (uuid, held) in std::mem::take(&mut self.early_calls) {
            // A get of the same uuid may have come meanwhile.
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.held.splice(..0, held);
                self.release_held(&uuid);
                continue;
            }
            for call in self.take_held(held) {
                self.respond_error(&call.client, &call.request, no_such_container(&uuid));
            }
        }
    }

    /// The container that requests were held for will not come.
    pub(crate) fn fail_held(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let held = std::mem::take(&mut entry.held);
        for call in self.take_held(held) {
            self.respond_error(&call.client, &call.request, no_such_container(uuid));
        }
    }

    /// Gives up requests that were held for too long.
    pub(crate) fn check_held(&mut self, uuid: &Id) {
        let now = self.now.mono;
        let held = match self.entries.get_mut(uuid) {
            Some(entry) => &mut entry.held,
            None => match self.early_calls.get_mut(uuid) {
                Some(held) => held,
                None => return,
            },
        };
        let (late, rest) = std::mem::take(held)
            .into_iter()
            .partition(|call| call.until <= now);
        *held = rest;
        for call in self.take_held(late) {
            let message =
                format!("container {uuid} was not there in time; the request did not run");
            let error = ErrorPayload::new(ErrorCode::TimedOut, message);
            self.respond_error(&call.client, &call.request, error);
        }
    }
}

fn no_such_container(uuid: &str) -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::NoSuchContainer,
        format!("there is no container {uuid}"),
    )
}

/// A request that may have run in another life of the container is not run in this one.
fn other_life(entry: &Entry, ext: Option<CallerExt>) -> Option<ErrorPayload> {
    let sent = ext?.epoch?;
    if entry.epoch == Some(sent) || !(entry.is_live() || entry.agent().is_some()) {
        return None;
    }
    let uuid = &entry.uuid;
    let message = format!("outcome unknown: container {uuid} was placed again since it was asked");
    Some(ErrorPayload::new(ErrorCode::OutcomeUnknown, message))
}

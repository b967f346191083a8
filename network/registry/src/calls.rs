//! Calls from the server to agents.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    AgentCall, CallExt, Epoch, ErrorCode, ErrorPayload, Frame, KindSpec, Op, Request, method,
};
use serde_json::value::RawValue;

use crate::registry::{Id, Registry};
use crate::routed::Terms;
use crate::session::millis;

/// How much longer than its caller the server waits for an answer that is on its way.
pub(crate) const LATE_ANSWER: Duration = Duration::from_secs(1);

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
        /// The life of the container that was asked.
        epoch: Option<Epoch>,
        terms: Terms,
    },
    /// Tells the specification of a kind, or that it has none any more.
    Spec { kind: Id },
    /// Nobody waits for the answer.
    Other,
}

/// A call to an agent that is not answered yet.
#[derive(Debug)]
pub(crate) struct BackCall {
    pub(crate) agent: Id,
    /// The client that serves the agent: an answer counts from it alone.
    client: Id,
    pub(crate) kind: CallKind,
    pub(crate) payload: Bytes,
    /// Whether it was sent more than once: its first answer may be lost.
    pub(crate) resent: bool,
    /// When it is given up, if ever.
    pub(crate) until: Option<Duration>,
}

impl BackCall {
    /// Of a request whose caller waits for a time: the payload with what is left of it.
    fn payload_at(&self, now: Duration) -> Option<Bytes> {
        let CallKind::Request { terms, .. } = &self.kind else {
            return None;
        };
        let left = terms.deadline?.saturating_sub(now);
        let request = Request::read(&self.payload).ok()?;
        let call: AgentCall<'_> = serde_json::from_str(request.params.get()).ok()?;
        let ext: CallExt = serde_json::from_str(call.ext?.get()).ok()?;
        let ext = CallExt {
            timeout_ms: Some(millis(left)),
            ..ext
        };
        let params = serde_json::to_string(&(&call.agent, call.params, ext)).ok()?;
        Some(Request::payload(&request.method, &params))
    }
}

/// What an agent is sent in a call.
pub(crate) fn call_payload(agent: &Id, method: &str, params: &str, ext: Option<String>) -> Bytes {
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
    Request::payload(method, &all)
}

/// What tells an agent the specification of a kind, or that it has none.
pub(crate) fn spec_payload(agent: &Id, kind: &Id, spec: Option<&KindSpec>) -> Bytes {
    let (method, params) = match spec {
        Some(spec) => (method::SET_KIND, serde_json::to_string(&[spec])),
        None => (method::REMOVE_KINDS, serde_json::to_string(&[&**kind])),
    };
    call_payload(agent, method, &params.unwrap_or_default(), None)
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
        let payload = call_payload(agent, method, params, ext);
        self.send_call(agent, payload, kind)
    }

    /// The same with what [`call_payload`] made.
    pub(crate) fn send_call(&mut self, agent: &Id, payload: Bytes, kind: CallKind) -> Option<u64> {
        let client = self.agents.get(agent)?.client.clone();
        self.ids += 1;
        let number = self.ids;
        let frame = Frame::new(Op::Request, self.call_id(number), payload.clone());
        let call = BackCall {
            agent: agent.clone(),
            client: client.clone(),
            kind,
            payload,
            resent: false,
            until: None,
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

    /// The TypeScript client whose answer this is, if it is not connected: what waited in its socket when
    /// the connection was lost goes out over the next one before the hello.
    pub(crate) fn answerer(&self, frame: &Frame) -> Option<Id> {
        let is_answer = matches!(frame.op, Op::Response | Op::ResponseError);
        let number = self.call_number(&frame.id).filter(|_| is_answer)?;
        let call = self.calls.get(&number)?;
        // Of starts and ends the registration that follows may know nothing yet: these are asked again.
        let CallKind::Request { .. } = call.kind else {
            return None;
        };
        let client = &call.client;
        let session = self.sessions.get(client)?;
        (!session.is_rust() && session.conn.is_none()).then(|| client.clone())
    }

    /// Sends unanswered calls again over a new connection; agents know those that they run.
    pub(crate) fn resend_calls(&mut self, client: &Id) {
        let now = self.now.mono;
        let mut payloads = Vec::new();
        for (number, call) in &mut self.calls {
            if call.client == *client {
                call.resent = true;
                let payload = match &call.kind {
                    // A later word may be answered already: this one is not to undo it.
                    CallKind::Spec { kind } => {
                        let spec = self.kinds.get(kind).map(|known| &known.spec);
                        Some(spec_payload(&call.agent, kind, spec))
                    }
                    _ => call.payload_at(now),
                };
                let payload = payload.unwrap_or_else(|| call.payload.clone());
                payloads.push((*number, payload));
            }
        }
        for (number, payload) in payloads {
            let frame = Frame::new(Op::Request, self.call_id(number), payload);
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

    /// Looks at a call again at a time, unless it is answered before.
    pub(crate) fn call_until(&mut self, number: u64, until: Duration) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.until = Some(until);
            self.timers.set_call(until, number);
        }
    }

    /// Ends a call: it is answered, given up or not wanted any more.
    pub(crate) fn take_call(&mut self, number: u64) -> Option<BackCall> {
        let call = self.calls.remove(&number)?;
        if let Some(until) = call.until {
            self.timers.unset_call(until, number);
        }
        self.discharge(number, &call);
        Some(call)
    }

    /// An answer of an agent.
    pub(crate) fn answer(&mut self, client: &Id, frame: Frame) {
        let number = self.call_number(&frame.id);
        let asked = number.and_then(|number| self.calls.get(&number));
        let (Some(number), true) = (number, asked.is_some_and(|call| call.client == *client))
        else {
            // Of a call that was forgotten since, or answered before.
            let late = asked.is_none() && number.is_some_and(|number| number <= self.ids);
            return self.bad_message(if late {
                "late_answer"
            } else {
                "unknown_answer"
            });
        };
        let Some(call) = self.take_call(number) else {
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
            CallKind::Terminate { uuid } => match ok || self.ends_by_error(&call.agent, &frame) {
                true => self.stopped(&call.agent, &uuid),
                false => self.stop_failed(&uuid),
            },
            CallKind::Request {
                client, request, ..
            } if ok => {
                // What a TypeScript agent writes of an operation that returns nothing.
                let plain = self
                    .agents
                    .get(&call.agent)
                    .is_some_and(|agent| !agent.rust);
                if plain && matches!(&*frame.payload, b"" | b"undefined") {
                    return self.respond(&client, &request, "null");
                }
                if serde_json::from_slice::<&RawValue>(&frame.payload).is_err() {
                    self.bad_message("bad_answer");
                    let message = format!("agent {} answered with what is not JSON", call.agent);
                    let error = ErrorPayload::new(ErrorCode::Failed, message);
                    return self.respond_error(&client, &request, error);
                }
                self.respond(&client, &request, frame.payload);
            }
            CallKind::Request { .. } => {
                self.refused(number, call, ErrorPayload::read(&frame.payload));
            }
            CallKind::Spec { .. } | CallKind::Other => {}
        }
    }

    /// Whether an error in answer to an end means that nothing of the container runs there: at an
    /// agent of ours only that it has a later life of it, at a TypeScript one any, as upstream.
    fn ends_by_error(&self, agent: &Id, frame: &Frame) -> bool {
        let rust = self.agents.get(agent).is_some_and(|agent| agent.rust);
        !rust || ErrorPayload::read(&frame.payload).code == Some(ErrorCode::Gone)
    }

    /// Nothing was heard of a call within its time.
    pub(crate) fn call_timed_out(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        // An end is waited for until it is said or the agent is gone: until then the uuid may run.
        if let CallKind::Terminate { uuid } = &call.kind {
            let uuid = uuid.clone();
            return self.stop_is_late(&uuid);
        }
        let Some(call) = self.take_call(number) else {
            return;
        };
        match call.kind {
            CallKind::Start { uuid } => {
                let message = format!("agent {} did not answer in time", call.agent);
                let error = ErrorPayload::new(ErrorCode::TimedOut, message);
                self.end_late_start(&call.agent, &uuid);
                self.started(&call.agent, &uuid, Err(error));
            }
            // Its caller has given it up too.
            CallKind::Request {
                client, request, ..
            } => self.forget_request(&client, &request),
            CallKind::Terminate { .. } | CallKind::Spec { .. } | CallKind::Other => {}
        }
    }

    /// A start that was given up may still happen: then its container is to be ended.
    fn end_late_start(&mut self, agent: &Id, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let epoch = entry.epoch;
        self.told_to_end(uuid, epoch);
        let params = serde_json::to_string(&[&**uuid]).unwrap_or_default();
        let ext = self.epoch_ext(agent, epoch);
        self.call(agent, method::TERMINATE, &params, ext, CallKind::Other);
        self.fence(uuid, self.now.mono);
    }

    /// Requests that an agent (or one container of it) will not answer any more: they may have run.
    pub(crate) fn fail_calls(&mut self, agent: &Id, container: Option<&Id>) {
        let at_agent = |number: &u64| {
            let call = self.calls.get(number);
            call.is_some_and(|call| call.agent == *agent)
        };
        let lost: Vec<u64> = match container {
            Some(container) => {
                let entry = self.entries.get(container);
                let carried = entry.into_iter().flat_map(|entry| &entry.carried_by);
                carried.copied().filter(at_agent).collect()
            }
            None => {
                let others = self.calls.iter().filter(|(_, call)| match &call.kind {
                    CallKind::Request { .. } | CallKind::Spec { .. } | CallKind::Other => {
                        call.agent == *agent
                    }
                    _ => false,
                });
                others.map(|(number, _)| *number).collect()
            }
        };
        for number in lost {
            let Some(call) = self.take_call(number) else {
                continue;
            };
            if let CallKind::Request {
                uuid,
                client,
                request,
                ..
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
}

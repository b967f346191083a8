//! Requests of clients on their way to containers.

use std::time::Duration;

use huly_protocol::{CallExt, CallerExt, ContainerCall, ErrorCode, ErrorPayload, Json, method};
use serde_json::value::RawValue;

use crate::calls::CallKind;
use crate::entry::{Entry, State};
use crate::registry::{Id, Registry};
use crate::requests::Outcome;
use crate::session::millis;
use crate::timer::Timer;

/// How much longer than its caller the server waits for an answer that is on its way.
const LATE_ANSWER: Duration = Duration::from_secs(1);
/// How long before its caller gives up a request that is held is answered, so that the caller learns
/// that it did not run. Of a short wait a tenth.
const LAST_WORD: Duration = Duration::from_millis(100);

/// A request to a container, read.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    pub(crate) client: Id,
    pub(crate) request: String,
    pub(crate) operation: String,
    pub(crate) data: Json,
    /// The life of the container in which it may have run already.
    pub(crate) sent_in: Option<huly_protocol::Epoch>,
    /// When its caller gives it up; never for a TypeScript caller.
    pub(crate) deadline: Option<Duration>,
    /// When an answer comes in time that says that it did not run.
    pub(crate) last_word: Option<Duration>,
}

/// What is kept of a request that an agent has, beside the call that carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarded {
    /// The life of the container that was asked.
    pub(crate) epoch: Option<huly_protocol::Epoch>,
    /// See [`Routed::sent_in`].
    pub(crate) sent_in: Option<huly_protocol::Epoch>,
    /// See [`Routed::deadline`].
    pub(crate) deadline: Option<Duration>,
    /// See [`Routed::last_word`].
    pub(crate) last_word: Option<Duration>,
}

impl Routed {
    fn new(client: &Id, request: &str, call: &ContainerCall<'_>, now: Duration) -> Self {
        let CallerExt { epoch, timeout_ms } = call.ext.unwrap_or_default();
        let timeout = timeout_ms.map(Duration::from_millis);
        Self {
            client: client.clone(),
            request: request.to_owned(),
            operation: call.operation.to_string(),
            data: Json::from(call.data),
            sent_in: epoch,
            deadline: timeout.map(|timeout| now.saturating_add(timeout)),
            last_word: timeout
                .map(|timeout| now.saturating_add(timeout - LAST_WORD.min(timeout / 10))),
        }
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.operation.len() + self.data.text().len()
    }
}

impl Registry {
    /// A client's request to a container (`cs`): handed on, held, or refused.
    pub(crate) fn container_request(&mut self, client: &Id, id: &str, raw: &RawValue) -> Outcome {
        let call: ContainerCall<'_> = serde_json::from_str(raw.get()).map_err(|error| {
            let message = format!("wrong parameters of cs: {error}");
            ErrorPayload::new(ErrorCode::BadRequest, message)
        })?;
        let visit = self.since_start_ms();
        let routed = Routed::new(client, id, &call, self.now.mono);
        let Some(entry) = self.entries.get_mut(call.uuid.as_ref()) else {
            if !self.settling() {
                return Err(no_such_container(&call.uuid));
            }
            return self.hold_call(Id::from(call.uuid.as_ref()), routed);
        };
        entry.last_visit = visit;
        let uuid = entry.uuid.clone();
        if let Some(error) = other_life(entry, &routed) {
            return Err(error);
        }
        match &entry.state {
            State::Live { agent } if self.agents.get(agent).is_some_and(|a| !a.suspected) => {
                let agent = agent.clone();
                self.forward(&agent, &uuid, &routed)?;
                Ok(None)
            }
            State::Stopping { .. } if !entry.wanted() => {
                let message = format!("container {uuid} is being ended");
                Err(ErrorPayload::new(ErrorCode::Gone, message))
            }
            _ => self.hold_call(uuid, routed),
        }
    }

    /// Hands a request on to the container's agent.
    pub(crate) fn forward(
        &mut self,
        agent: &Id,
        uuid: &Id,
        routed: &Routed,
    ) -> Result<(), ErrorPayload> {
        let limit = self.config.calls_per_container;
        let rust = self.agents.get(agent).is_some_and(|agent| agent.rust);
        let Some(entry) = self.entries.get_mut(uuid) else {
            return Err(no_such_container(uuid));
        };
        if entry.running >= limit {
            let message = format!("container {uuid} has {limit} requests without an answer");
            return Err(ErrorPayload::new(ErrorCode::Busy, message));
        }
        entry.running += 1;
        let now = self.now.mono;
        let ext = rust.then(|| CallExt {
            epoch: entry.epoch,
            client: Some(routed.client.to_string()),
            request: Some(routed.request.clone()),
            timeout_ms: routed
                .deadline
                .map(|deadline| millis(deadline.saturating_sub(now))),
        });
        let ext = ext.and_then(|ext| serde_json::to_string(&ext).ok());
        let params = (&**uuid, &routed.operation, routed.data.raw());
        let params = serde_json::to_string(&params).unwrap_or_default();
        let kind = CallKind::Request {
            uuid: uuid.clone(),
            client: routed.client.clone(),
            request: routed.request.clone(),
            forwarded: Forwarded {
                epoch: entry.epoch,
                sent_in: routed.sent_in,
                deadline: routed.deadline,
                last_word: routed.last_word,
            },
        };
        let call = self.call(agent, method::CONTAINER_REQUEST, &params, ext, kind);
        if let Some(number) = call
            && let Some(flight) = self
                .sessions
                .get_mut(&routed.client)
                .and_then(|session| session.in_flight.get_mut(&routed.request))
        {
            flight.call = Some(number);
        }
        if let Some((number, deadline)) = call.zip(routed.deadline) {
            self.call_until(number, deadline.saturating_add(LATE_ANSWER));
        }
        Ok(())
    }

    /// Looks at a call again at a time, unless it is answered before.
    pub(crate) fn call_until(&mut self, number: u64, until: Duration) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.until = Some(until);
            self.timers.set(until, Timer::Call(number));
        }
    }
}

/// For how long the caller of a call waits that is given up at `until`.
pub(crate) fn time_left(until: Duration, now: Duration) -> Duration {
    until.saturating_sub(now).saturating_sub(LATE_ANSWER)
}

pub(crate) fn no_such_container(uuid: &str) -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::NoSuchContainer,
        format!("there is no container {uuid}"),
    )
}

/// A request that may have run in another life of the container is not run in this one.
pub(crate) fn other_life(entry: &Entry, routed: &Routed) -> Option<ErrorPayload> {
    let sent = routed.sent_in?;
    if entry.epoch == Some(sent) || !(entry.is_live() || entry.agent().is_some()) {
        return None;
    }
    let uuid = &entry.uuid;
    let message = format!("outcome unknown: container {uuid} was placed again since it was asked");
    Some(ErrorPayload::new(ErrorCode::OutcomeUnknown, message))
}

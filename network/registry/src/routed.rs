//! Requests of clients on their way to containers.

use std::time::Duration;

use huly_protocol::{
    CallExt, Chain, ContainerCall, Epoch, ErrorCode, ErrorPayload, Request, method,
};
use serde_json::value::RawValue;

use crate::calls::{CallKind, LATE_ANSWER, call_payload};
use crate::entry::{Entry, State};
use crate::registry::{Id, Registry};
use crate::requests::Outcome;
use crate::session::millis;

/// A request to a container, read.
#[derive(Debug, Clone)]
pub(crate) struct Routed<'a> {
    pub(crate) client: &'a Id,
    pub(crate) request: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) data: &'a RawValue,
    pub(crate) terms: Terms,
}

/// On what terms a request is made.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The life of the container in which it may have run already.
    pub(crate) sent_in: Option<Epoch>,
    /// When its caller gives it up; never for a TypeScript caller.
    pub(crate) deadline: Option<Duration>,
    /// When an answer comes in time that says that it did not run.
    pub(crate) last_word: Option<Duration>,
    /// The containers that wait for it.
    pub(crate) chain: Chain,
}

impl Terms {
    fn of(call: &ContainerCall<'_>, now: Duration) -> Self {
        let ext = call.ext.clone().unwrap_or_default();
        let after = |time| now.saturating_add(time);
        Self {
            sent_in: ext.epoch,
            deadline: ext.timeout_ms.map(Duration::from_millis).map(after),
            last_word: ext.patience().map(after),
            chain: ext.chain,
        }
    }

    /// Those of a request to a container; nothing of another one.
    pub(crate) fn read(request: &Request<'_>, now: Duration) -> Option<Self> {
        let asks = request.method == method::CONTAINER_REQUEST;
        let call = serde_json::from_str(request.params.get()).ok();
        call.filter(|_| asks).map(|call| Self::of(&call, now))
    }

    /// Why a request is not handed on now. Of one that was sent before nobody here can say that it
    /// did not run then.
    pub(crate) fn refusal(&self, error: ErrorPayload) -> ErrorPayload {
        if self.sent_in.is_none() || error.code == Some(ErrorCode::OutcomeUnknown) {
            return error;
        }
        let message = format!("outcome unknown: it was sent before; now {}", error.message);
        ErrorPayload::new(ErrorCode::OutcomeUnknown, message)
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
        let terms = Terms::of(&call, self.now.mono);
        let routed = Routed {
            client,
            request: id,
            operation: &call.operation,
            data: call.data,
            terms: terms.clone(),
        };
        let outcome = self.hand_on(&call.uuid, routed, visit);
        outcome.map_err(|error| terms.refusal(error))
    }

    fn hand_on(&mut self, asked: &str, routed: Routed<'_>, visit: f64) -> Outcome {
        let Some(entry) = self.entries.get_mut(asked) else {
            if !self.settling() {
                return Err(no_such_container(asked));
            }
            return self.hold_call(Id::from(asked), routed);
        };
        entry.last_visit = visit;
        let uuid = entry.uuid.clone();
        if let Some(error) = other_life(entry, &routed.terms) {
            return Err(error);
        }
        match &entry.state {
            State::Live { agent } if self.agents.get(agent).is_some_and(|a| !a.suspected) => {
                let agent = agent.clone();
                self.forward(&agent, &uuid, routed)?;
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
        routed: Routed<'_>,
    ) -> Result<(), ErrorPayload> {
        let rust = self.agents.get(agent).is_some_and(|agent| agent.rust);
        let Some(entry) = self.entries.get(uuid) else {
            return Err(no_such_container(uuid));
        };
        let now = self.now.mono;
        let deadline = routed.terms.deadline;
        let ext = rust.then(|| CallExt {
            epoch: entry.epoch,
            client: Some(routed.client.to_string()),
            request: Some(routed.request.to_owned()),
            timeout_ms: deadline.map(|deadline| millis(deadline.saturating_sub(now))),
            chain: routed.terms.chain.clone(),
        });
        let ext = ext.and_then(|ext| serde_json::to_string(&ext).ok());
        let params = (&**uuid, routed.operation, routed.data);
        let params = serde_json::to_string(&params).unwrap_or_default();
        let kind = CallKind::Request {
            uuid: uuid.clone(),
            client: routed.client.clone(),
            request: routed.request.to_owned(),
            epoch: entry.epoch,
            terms: routed.terms,
        };
        let payload = call_payload(agent, method::CONTAINER_REQUEST, &params, ext);
        self.admit(agent, uuid, routed.client, payload.len())?;
        let bytes = payload.len();
        let Some(number) = self.send_call(agent, payload, kind) else {
            return Ok(());
        };
        self.charge(number, uuid, routed.client, bytes);
        if let Some(flight) = self.flight_mut(routed.client, routed.request) {
            flight.call = Some(number);
        }
        if let Some(deadline) = deadline {
            // A pause of this process prolongs the wait for the answer, not its caller's time.
            self.call_until(number, deadline.saturating_add(LATE_ANSWER));
        }
        Ok(())
    }
}

pub(crate) fn no_such_container(uuid: &str) -> ErrorPayload {
    ErrorPayload::new(
        ErrorCode::NoSuchContainer,
        format!("there is no container {uuid}"),
    )
}

/// A request that may have run in another life of the container is not run in this one.
pub(crate) fn other_life(entry: &Entry, terms: &Terms) -> Option<ErrorPayload> {
    let sent = terms.sent_in?;
    if entry.epoch == Some(sent) || !(entry.is_live() || entry.agent().is_some()) {
        return None;
    }
    let uuid = &entry.uuid;
    let message = format!("outcome unknown: container {uuid} was placed again since it was asked");
    Some(ErrorPayload::new(ErrorCode::OutcomeUnknown, message))
}

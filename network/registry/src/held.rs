//! Requests that wait for their container: for its start, a failover, settling.

use std::time::Duration;

use huly_protocol::{ErrorCode, ErrorPayload, Json};

use crate::entry::State;
use crate::registry::{Id, Registry};
use crate::requests::Outcome;
use crate::routed::{Routed, Terms, no_such_container, other_life};
use crate::timer::Timer;

/// Requests that may be held for one container.
pub(crate) const MAX_HELD: usize = 1_024;

/// A request that waits for its container's agent.
#[derive(Debug, Clone)]
pub(crate) struct HeldCall {
    pub(crate) client: Id,
    pub(crate) request: String,
    pub(crate) operation: String,
    pub(crate) data: Json,
    pub(crate) terms: Terms,
    /// Its place among those that were at an agent before: they were sent before all others.
    pub(crate) order: u64,
    /// When it is given up.
    pub(crate) until: Duration,
}

impl HeldCall {
    pub(crate) fn routed(&self) -> Routed<'_> {
        Routed {
            client: &self.client,
            request: &self.request,
            operation: &self.operation,
            data: self.data.raw(),
            terms: self.terms.clone(),
        }
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.operation.len() + self.data.text().len()
    }
}

impl Registry {
    pub(crate) fn hold_call(&mut self, uuid: Id, routed: Routed<'_>) -> Outcome {
        self.hold_at(uuid, routed, u64::MAX)
    }

    /// As [`Registry::hold_call`], before those of a higher order.
    pub(crate) fn hold_at(&mut self, uuid: Id, routed: Routed<'_>, order: u64) -> Outcome {
        let holds = self.held_for(&uuid).map_or(0, |held| held.len());
        if holds >= MAX_HELD {
            let message = format!("too many requests wait for container {uuid} to be placed");
            return Err(ErrorPayload::new(ErrorCode::Busy, message));
        }
        let longest = self.now.mono + self.config.hold_timeout;
        let last_word = routed.terms.last_word;
        let until = last_word.map_or(longest, |last| last.min(longest));
        let call = HeldCall {
            client: routed.client.clone(),
            request: routed.request.to_owned(),
            operation: routed.operation.to_owned(),
            data: Json::from(routed.data),
            terms: routed.terms,
            order,
            until,
        };
        self.has_room(call.bytes())?;
        if let Some(flight) = self.flight_mut(routed.client, routed.request) {
            flight.waits_for = Some(uuid.clone());
            flight.call = None;
        }
        self.held_bytes += call.bytes();
        let held = match self.entries.get_mut(&uuid) {
            Some(entry) => &mut entry.held,
            None => self.early_calls.entry(uuid.clone()).or_default(),
        };
        let at = held.partition_point(|other| other.order <= order);
        held.insert(at, call);
        self.timers.set(until, Timer::Hold(uuid));
        Ok(None)
    }

    /// What is held for a container; before anybody got or registered it, apart from the entries.
    fn held_for(&mut self, uuid: &Id) -> Option<&mut Vec<HeldCall>> {
        match self.entries.get_mut(uuid) {
            Some(entry) => Some(&mut entry.held),
            None => self.early_calls.get_mut(uuid),
        }
    }

    fn take_held(&mut self, held: Vec<HeldCall>) -> Vec<HeldCall> {
        let bytes: usize = held.iter().map(HeldCall::bytes).sum();
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
            let refused = match entry.and_then(|entry| other_life(entry, &call.terms)) {
                Some(error) => Err(error),
                None => self.forward(&agent, uuid, call.routed()),
            };
            if let Err(error) = refused {
                let error = call.terms.refusal(error);
                self.respond_error(&call.client, &call.request, error);
            }
        }
    }

    /// The containers that requests were held for have not come in time.
    pub(crate) fn fail_early_calls(&mut self) {
        for (uuid, held) in std::mem::take(&mut self.early_calls) {
            self.timers.unset(&Timer::Hold(uuid.clone()));
            self.refuse_held(held, &no_such_container(&uuid));
        }
    }

    /// The container that requests were held for will not come.
    pub(crate) fn fail_held(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let held = std::mem::take(&mut entry.held);
        self.refuse_held(held, &no_such_container(uuid));
    }

    /// Gives up requests that were held for too long.
    pub(crate) fn check_held(&mut self, uuid: &Id) {
        let now = self.now.mono;
        let Some(held) = self.held_for(uuid) else {
            return;
        };
        let late = held.extract_if(.., |call| call.until <= now).collect();
        if let Some(until) = held.iter().map(|call| call.until).min() {
            self.timers.set(until, Timer::Hold(uuid.clone()));
        }
        let message = format!("container {uuid} was not there in time; the request did not run");
        self.refuse_held(late, &ErrorPayload::new(ErrorCode::TimedOut, message));
    }

    /// Answers requests that were held and will not run.
    fn refuse_held(&mut self, held: Vec<HeldCall>, error: &ErrorPayload) {
        for call in self.take_held(held) {
            let error = call.terms.refusal(error.clone());
            self.respond_error(&call.client, &call.request, error);
        }
    }

    /// Drops what a client left held for a container.
    pub(crate) fn forget_held(&mut self, client: &Id, uuid: &Id) {
        let Some(held) = self.held_for(uuid) else {
            return;
        };
        let dropped = held.extract_if(.., |call| call.client == *client).collect();
        self.take_held(dropped);
        if self.early_calls.get(uuid).is_some_and(Vec::is_empty) {
            self.early_calls.remove(uuid);
            self.timers.unset(&Timer::Hold(uuid.clone()));
        }
    }
}

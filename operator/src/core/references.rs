//! References: which containers the operator holds for its claims.

use std::time::Duration;

use huly_operator_api::condition::claim as reason;
use huly_protocol::{GetParams, GotContainer};

use super::claims::QUIET;
use super::{Core, Count, Effect, MAX_CALLS, NetworkError, Timer, backoff};
use crate::fact::Fact;
use crate::plan::Refusal;
use crate::plan::kinds::KindState;

/// What is to become of a reference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    /// It is to be held: this gets it.
    Get(Box<GetParams>),
    /// It stays where it is held, and is not got where not.
    Keep,
    /// It is to be released.
    No,
}

impl Want {
    fn kind(&self) -> Option<&str> {
        match self {
            Self::Get(get) => Some(&get.kind),
            Self::Keep | Self::No => None,
        }
    }
}

/// The hold on one container uuid, for any number of claims.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) want: Want,
    pub(super) wanted_since: Duration,
    /// Whether a call about it has no answer yet.
    busy: bool,
    /// Whether the server may hold it for the operator.
    pub(super) held: bool,
    /// Where the container lives, as far as is known.
    pub(super) fact: Option<Fact>,
    /// Of which snapshot of the feed that is.
    round: u64,
    /// Since when the container is not there.
    pub(super) lost_since: Option<Duration>,
    /// Why the last get failed.
    pub(super) refusal: Option<Refusal>,
    attempts: u32,
    pub(super) retry_at: Option<Duration>,
    queued: bool,
}

impl Reference {
    fn new(now: Duration) -> Self {
        Self {
            want: Want::No,
            wanted_since: now,
            busy: false,
            held: false,
            fact: None,
            round: 0,
            lost_since: None,
            refusal: None,
            attempts: 0,
            retry_at: None,
            queued: false,
        }
    }

    /// The container lives there.
    pub(super) fn lives(&mut self, fact: Fact, round: u64) {
        self.fact = Some(fact);
        self.round = round;
        self.lost_since = None;
    }

    /// Where the container lives that is held, if that is known from the present snapshot.
    pub(super) fn bound_by(&self, round: u64) -> Option<&Fact> {
        let fact = self.fact.as_ref()?;
        let right = match &self.want {
            Want::Get(get) => get.kind == fact.kind,
            Want::Keep => true,
            Want::No => false,
        };
        (self.held && right && self.round == round).then_some(fact)
    }
}

impl Core {
    pub(super) fn want(&mut self, uuid: &str, want: Want) {
        let now = self.now.mono;
        let known = self.references.contains_key(uuid);
        if !known && want == Want::No {
            return;
        }
        let reference = self
            .references
            .entry(uuid.to_owned())
            .or_insert_with(|| Reference::new(now));
        if reference.want.kind() != want.kind() {
            reference.wanted_since = now;
            reference.attempts = 0;
            self.set_refusal(uuid, None);
        }
        if let Some(reference) = self.references.get_mut(uuid) {
            reference.want = want;
            // Whatever changed may have been why it was refused.
            reference.retry_at = None;
        }
        self.enqueue(uuid);
    }

    pub(super) fn set_refusal(&mut self, uuid: &str, refusal: Option<Refusal>) {
        let Some(reference) = self.references.get_mut(uuid) else {
            return;
        };
        if let Want::Get(get) = &reference.want {
            let waits = refusal
                .as_ref()
                .is_some_and(|refusal| refusal.reason == reason::REASON_NOT_PLACEABLE);
            let unplaced = self.unplaced.entry(get.kind.clone()).or_default();
            match waits {
                true => unplaced.insert(uuid.to_owned()),
                false => unplaced.remove(uuid),
            };
            if unplaced.is_empty() {
                self.unplaced.remove(&get.kind);
            }
        }
        reference.refusal = refusal;
    }

    /// Lets up to `most` references of a kind that could not be placed try again now.
    pub(super) fn wake_unplaced(&mut self, kind: &str, most: usize) {
        let Some(unplaced) = self.unplaced.get(kind) else {
            return;
        };
        let uuids: Vec<String> = unplaced.iter().cloned().collect();
        let mut woken = 0;
        for uuid in uuids {
            if woken >= most {
                return;
            }
            if let Some(reference) = self.references.get_mut(&uuid)
                && reference.retry_at.take().is_some()
            {
                woken += 1;
                self.enqueue(&uuid);
            }
        }
    }

    pub(super) fn enqueue(&mut self, uuid: &str) {
        if let Some(reference) = self.references.get_mut(uuid)
            && !reference.queued
        {
            reference.queued = true;
            self.queue.push_back(uuid.to_owned());
        }
    }

    /// Does what is to be done about references, as far as the session allows.
    pub(super) fn step_references(&mut self) {
        if !self.session.is_usable() || !self.control.is_synced() {
            return;
        }
        while self.calls < MAX_CALLS
            && let Some(uuid) = self.queue.pop_front()
        {
            if let Some(reference) = self.references.get_mut(&uuid) {
                reference.queued = false;
                self.step_reference(&uuid);
            }
        }
    }

    fn step_reference(&mut self, uuid: &str) {
        let now = self.now.mono;
        let Some(reference) = self.references.get(uuid) else {
            return;
        };
        // Its outcome brings it here again.
        if reference.busy {
            return;
        }
        let get = match &reference.want {
            Want::Keep => return,
            Want::No if reference.held => return self.release(uuid),
            Want::No => {
                self.references.remove(uuid);
                return;
            }
            Want::Get(get) => get,
        };
        let of_other_kind = |fact: &Fact| fact.kind != get.kind;
        if reference.held && reference.fact.as_ref().is_some_and(of_other_kind) {
            return self.release(uuid);
        }
        if let Some(at) = reference.retry_at.filter(|at| *at > now) {
            return self.look_again(at, Timer::Reference(uuid.to_owned()));
        }
        let bound = reference.bound_by(self.feed.round).is_some();
        let lost_long = reference.lost_since.is_none_or(|since| now < since + QUIET);
        if bound && lost_long {
            return;
        }
        // The snapshot tells where it lives; while the server settles, an agent may yet tell it.
        if reference.held && !(self.feed.complete && self.feed.settled) {
            return;
        }
        if !self.control.is_confirmed(&self.states, &get.kind) {
            return;
        }
        let mut params = (**get).clone();
        if (reference.attempts > 0 || reference.fact.is_some())
            && let Some(ext) = &mut params.huly
        {
            ext.fresh = false;
        }
        let generation = self.session.facts.generation;
        self.call(
            uuid,
            Effect::Get {
                uuid: uuid.to_owned(),
                generation,
                params,
            },
        );
    }

    fn release(&mut self, uuid: &str) {
        let generation = self.session.facts.generation;
        self.call(
            uuid,
            Effect::Release {
                uuid: uuid.to_owned(),
                generation,
            },
        );
    }

    fn call(&mut self, uuid: &str, effect: Effect) {
        if let Some(reference) = self.references.get_mut(uuid) {
            reference.busy = true;
            self.calls += 1;
            self.effects.push(effect);
        }
    }

    pub(super) fn got(
        &mut self,
        uuid: &str,
        generation: u64,
        result: Result<Box<GotContainer>, NetworkError>,
    ) {
        self.calls = self.calls.saturating_sub(1);
        let now = self.now.mono;
        let current = generation == self.session.facts.generation;
        let Some(reference) = self.references.get_mut(uuid) else {
            return;
        };
        reference.busy = false;
        let answer = result.and_then(|answer| match answer.uuid == uuid {
            true => Fact::of_answer(*answer).ok_or_else(|| {
                NetworkError::Failed("the network server does not say where it lives".to_owned())
            }),
            false => Err(NetworkError::Failed(format!(
                "the network server answered with the container {}",
                answer.uuid
            ))),
        });
        match answer {
            Ok(fact) => {
                // Of an earlier session: the sync of the new one says whether it is held.
                reference.held |= current;
                reference.attempts = 0;
                reference.retry_at = None;
                let older = |known: &Fact| fact.is_before(known);
                if !reference.fact.as_ref().is_some_and(older) {
                    reference.lives(fact, self.feed.round);
                }
                self.set_refusal(uuid, None);
            }
            Err(error) => {
                if matches!(error, NetworkError::Unknown(_)) {
                    reference.held = true;
                }
                reference.attempts += 1;
                let at = now + backoff(reference.attempts, uuid);
                reference.retry_at = Some(at);
                self.count_error(error.label());
                if let Some(refusal) = error.refusal() {
                    self.set_refusal(uuid, Some(refusal));
                }
            }
        }
        self.touch_reference(uuid);
    }

    pub(super) fn released(
        &mut self,
        uuid: &str,
        generation: u64,
        result: Result<(), NetworkError>,
    ) {
        self.calls = self.calls.saturating_sub(1);
        let now = self.now.mono;
        let Some(reference) = self.references.get_mut(uuid) else {
            return;
        };
        reference.busy = false;
        match result {
            Ok(()) => {
                reference.held = false;
                reference.fact = None;
                reference.lost_since = None;
                self.count(Count::Released(1));
            }
            // The sync of the new session does it.
            Err(_) if generation != self.session.facts.generation => {}
            Err(error) => {
                reference.attempts += 1;
                let at = now + backoff(reference.attempts, uuid);
                self.count_error(error.label());
                self.look_again(at, Timer::Reference(uuid.to_owned()));
                return;
            }
        }
        self.enqueue(uuid);
    }

    /// Every container that is to be held.
    pub(super) fn wanted(&self) -> Vec<String> {
        let mut uuids: Vec<String> = self
            .references
            .iter()
            .filter(|(_, reference)| reference.want != Want::No)
            .map(|(uuid, _)| uuid.clone())
            .collect();
        uuids.sort_unstable();
        uuids
    }

    /// The server says which of the wanted it does not hold.
    pub(super) fn hold_all_but(&mut self, wanted: &[String], missing: &[String]) {
        for uuid in wanted {
            if let Some(reference) = self.references.get_mut(uuid) {
                reference.held = missing.binary_search(uuid).is_err();
            }
        }
        self.touch_all();
    }

    /// The accepted state of a kind by its name on the wire.
    pub(super) fn accepted(
        states: &std::collections::BTreeMap<String, KindState>,
        kind: &str,
    ) -> Option<huly_protocol::KindSpec> {
        states.values().find_map(|state| match state {
            KindState::Accepted(spec) if spec.kind == kind => Some(spec.clone()),
            _ => None,
        })
    }
}

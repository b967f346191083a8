//! ContainerKinds: which are accepted, and their statuses.

use std::time::Duration;

use huly_operator_api::ContainerKindStatus;

use super::network::TooEarly;
use super::{Core, Count, Effect, Timer, WriteError, backoff};
use crate::model::Kind;
use crate::plan::kind_status::{Numbers, Service, kind_status, service};
use crate::plan::kinds::{KindState, plan_kinds};

/// Figures alone are written at most this often.
const FIGURES: Duration = Duration::from_secs(30);
/// The figures of a new kind are asked for after this time, and again those of one that got its
/// first containers: seldom they come alone.
const FIRST_FIGURES: Duration = Duration::from_secs(2);

/// A ContainerKind that exists.
#[derive(Debug)]
pub(super) struct KindEntry {
    pub(super) kind: Kind,
    pub(super) numbers: Option<Numbers>,
    /// The status on its way, and the version that it follows.
    writing: Option<(u64, Box<ContainerKindStatus>)>,
    /// When figures alone may be written again.
    figures_due: Option<Duration>,
    /// When figures that begin may be written at once again.
    begin_due: Option<Duration>,
    attempts: u32,
    retry_at: Option<Duration>,
    /// Whether the next version is reason enough to try again.
    conflicted: bool,
}

impl KindEntry {
    /// Whether figures that begin are written at once: those that come and go wait as others do.
    fn may_begin(&self, now: Duration) -> bool {
        self.begin_due.is_none_or(|at| at <= now)
    }
}

impl Core {
    pub(super) fn kind_applied(&mut self, mut kind: Kind) {
        let name = kind.name.clone();
        match self.kinds.get_mut(&name) {
            Some(entry) if entry.kind.age == kind.age => {
                // An event from before our own last write brings an older status.
                if kind.version < entry.kind.version {
                    kind.status = entry.kind.status.clone();
                    kind.version = entry.kind.version;
                }
                if kind.version > entry.kind.version && std::mem::take(&mut entry.conflicted) {
                    entry.retry_at = None;
                }
                let changed = entry.kind.generation != kind.generation;
                entry.kind = kind;
                if changed {
                    self.touch_claims_of_kind(&name);
                }
            }
            _ => {
                let entry = KindEntry {
                    kind,
                    numbers: None,
                    writing: None,
                    figures_due: None,
                    begin_due: None,
                    attempts: 0,
                    retry_at: None,
                    conflicted: false,
                };
                self.kinds.insert(name.clone(), entry);
                self.control.sample_by(self.now.mono + FIRST_FIGURES);
                self.touch_claims_of_kind(&name);
            }
        }
        self.dirty.kind_statuses.insert(name);
    }

    /// Finds out which kinds are accepted. Claims of those that changed are looked at again.
    pub(super) fn plan_kinds(&mut self) {
        let states = plan_kinds(&self.network, self.kinds.values().map(|entry| &entry.kind));
        let before = std::mem::replace(&mut self.states, states);
        let names = before.keys().chain(self.states.keys());
        let changed: Vec<String> = names
            .filter(|name| before.get(*name) != self.states.get(*name))
            .cloned()
            .collect();
        for name in changed {
            self.touch_claims_of_kind(&name);
            self.dirty.kind_statuses.insert(name);
        }
    }

    fn touch_claims_of_kind(&mut self, name: &str) {
        let uuids = self
            .claims
            .values()
            .filter(|entry| entry.claim.spec.container_kind_name == name)
            .map(|entry| entry.claim.uuid().to_owned());
        self.dirty.uuids.extend(uuids);
    }

    /// Brings a kind's status up to date.
    pub(super) fn step_kind(&mut self, name: &str) {
        let now = self.now;
        let (Some(state), Some(entry)) = (self.states.get(name), self.kinds.get(name)) else {
            return;
        };
        if entry.writing.is_some() || matches!(state, KindState::OtherNetwork) {
            return;
        }
        let retry_at = entry.retry_at.max(self.api_server.paused_until());
        if let Some(at) = retry_at.filter(|at| *at > now.mono) {
            return self.look_again(at, Timer::Kind(name.to_owned()));
        }
        let service = match self.service_of(state) {
            Ok(service) => service,
            // The network will say.
            Err(TooEarly) => return,
        };
        let numbers = entry.numbers.as_ref();
        let status = kind_status(&entry.kind, state, &service, numbers, now.wall);
        let before = &entry.kind.status;
        if status == *before {
            return;
        }
        let told_alike = status.conditions == before.conditions
            && status.observed_generation == before.observed_generation;
        // People look whether their first claims count.
        let begins = entry.may_begin(now.mono)
            && (begins(before.containers, status.containers)
                || begins(before.references, status.references)
                || begins(before.standbys, status.standbys));
        let due = entry.figures_due.filter(|at| *at > now.mono);
        if told_alike
            && !begins
            && let Some(at) = due
        {
            return self.look_again(at, Timer::Kind(name.to_owned()));
        }
        let figures = status.containers.is_some();
        let pause = if begins { FIRST_FIGURES } else { FIGURES };
        if begins {
            self.control.sample_by(now.mono + pause);
        }
        let Some(entry) = self.kinds.get_mut(name) else {
            return;
        };
        if figures {
            entry.figures_due = Some(now.mono + pause);
        }
        if begins {
            entry.begin_due = Some(now.mono + FIGURES);
        }
        let version = entry.kind.version;
        entry.writing = Some((version, Box::new(status.clone())));
        self.effects.push(Effect::WriteKind {
            name: name.to_owned(),
            uid: entry.kind.age.uid.clone(),
            version,
            status: Box::new(status),
        });
    }

    /// A claim was bound: if its kind shows no containers or references yet, it soon does.
    pub(super) fn figures_begin(&mut self, kind: &str) {
        let Some(entry) = self.kinds.get(kind) else {
            return;
        };
        let shown = &entry.kind.status;
        if !entry.may_begin(self.now.mono) {
            return;
        }
        if shown.containers.unwrap_or_default() == 0 || shown.references == Some(0) {
            self.control.sample_by(self.now.mono);
        }
    }

    /// Whether agents can host the kind.
    fn service_of(&self, state: &KindState) -> Result<Service, TooEarly> {
        let KindState::Accepted(spec) = state else {
            let message = String::new();
            return Ok(Service::Unknown { message });
        };
        if let Some(message) = self.unreachable()? {
            return Ok(Service::Unknown { message });
        }
        if !self.feed.complete {
            return Err(TooEarly);
        }
        match service(spec, &self.agents) {
            // Agents may still come back.
            Service::None { .. } if !self.feed.settled => Err(TooEarly),
            service => Ok(service),
        }
    }

    pub(super) fn kind_written(&mut self, name: &str, uid: &str, result: Result<u64, WriteError>) {
        let now = self.now.mono;
        self.count(Count::StatusWrite {
            object: "ContainerKind",
            outcome: outcome(&result),
        });
        self.write_answered(&result);
        let Some(entry) = self.kinds.get_mut(name) else {
            return;
        };
        if entry.kind.age.uid != uid {
            return;
        }
        let Some((follows, status)) = entry.writing.take() else {
            return;
        };
        match result {
            Ok(version) => {
                if version >= entry.kind.version {
                    entry.kind.status = *status;
                    entry.kind.version = version;
                }
                entry.attempts = 0;
                entry.retry_at = None;
            }
            Err(WriteError::Away) => {}
            Err(WriteError::Conflict) if entry.kind.version > follows => {}
            Err(error) => {
                entry.attempts += 1;
                entry.retry_at = Some(now + backoff(entry.attempts, name));
                entry.conflicted = error == WriteError::Conflict;
            }
        }
        self.dirty.kind_statuses.insert(name.to_owned());
    }
}

/// Whether there are some where none were.
fn begins(before: Option<i64>, now: Option<i64>) -> bool {
    before.unwrap_or_default() == 0 && now.unwrap_or_default() > 0
}

/// The outcome of a write for the metrics.
pub(super) fn outcome(result: &Result<u64, WriteError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(WriteError::Gone) => "gone",
        Err(WriteError::Conflict) => "conflict",
        Err(WriteError::Refused | WriteError::Away) => "failed",
    }
}

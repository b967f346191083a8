//! What the operator tells the network server: the kinds, and the full set of what it holds.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{KindSpec, Synced};

use super::{Core, Count, Effect, NetworkError, Sample, Timer, backoff};
use crate::plan::kind_status::numbers;
use crate::plan::kinds::KindState;
use crate::plan::push::plan_push;

/// How often the full set of references is synced.
const SYNC: Duration = Duration::from_secs(60);
/// Figures are asked for this often at least.
const SAMPLE: Duration = Duration::from_secs(30);

/// What the server was told in the present session.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// The kinds that it has confirmed; none before the full set.
    confirmed: Option<BTreeMap<String, KindSpec>>,
    /// The kinds that it is being told, perhaps since a session before: what is under way may come
    /// in this one too.
    pushing: Option<BTreeMap<String, KindSpec>>,
    push_attempts: u32,
    push_at: Option<Duration>,
    /// Whether what is held was synced.
    synced: bool,
    /// The set that is being synced, in order.
    syncing: Option<Vec<String>>,
    sync_attempts: u32,
    sync_at: Option<Duration>,
    sampling: bool,
    sample_at: Duration,
}

impl Control {
    /// What the server knew of the operator may be gone.
    pub(super) fn fresh_session(&mut self) {
        *self = Self {
            pushing: self.pushing.take(),
            sampling: self.sampling,
            sample_at: self.sample_at,
            ..Self::default()
        };
    }

    /// Whether references may be got and released.
    pub(super) fn is_synced(&self) -> bool {
        self.synced && self.syncing.is_none()
    }

    /// Whether what is held was synced in this session, perhaps being synced again now.
    pub(super) fn was_synced(&self) -> bool {
        self.synced
    }

    /// Whether the full set of kinds was told.
    pub(super) fn kinds_told(&self) -> bool {
        self.confirmed.is_some()
    }

    /// Whether the server places containers of the kind as its ContainerKind says now.
    pub(super) fn is_confirmed(&self, states: &BTreeMap<String, KindState>, kind: &str) -> bool {
        let confirmed = self.confirmed.as_ref().and_then(|known| known.get(kind));
        confirmed.is_some() && confirmed == Core::accepted(states, kind).as_ref()
    }

    /// Figures are wanted at that time at the latest.
    pub(super) fn sample_by(&mut self, at: Duration) {
        self.sample_at = self.sample_at.min(at);
    }
}

impl Core {
    pub(super) fn step_control(&mut self) {
        if !self.session.is_usable() {
            return;
        }
        self.push_kinds();
        if self.control.kinds_told() {
            self.sync();
            self.sample();
        }
    }

    fn push_kinds(&mut self) {
        if self.control.pushing.is_some() {
            return;
        }
        if let Some(at) = self.control.push_at.filter(|at| *at > self.now.mono) {
            return self.look_again(at, Timer::Control);
        }
        let desired = self.desired_kinds();
        let steps = plan_push(self.control.confirmed.as_ref(), &desired);
        if steps.is_empty() {
            return;
        }
        self.control.pushing = Some(desired);
        let generation = self.session.facts.generation;
        self.effects.push(Effect::SetKinds { generation, steps });
    }

    pub(super) fn kinds_set(&mut self, generation: u64, result: Result<(), NetworkError>) {
        let pushed = self.control.pushing.take();
        if generation != self.session.facts.generation {
            // Nothing of it comes any more: the full set may follow.
            return;
        }
        match result {
            Ok(()) => {
                self.control.confirmed = pushed;
                self.control.push_attempts = 0;
                self.control.push_at = None;
                let uuids: Vec<String> = self.references.keys().cloned().collect();
                for uuid in uuids {
                    self.enqueue(&uuid);
                }
            }
            Err(_) => {
                // How much of it the server has taken is not known.
                self.control.confirmed = None;
                self.control.push_attempts += 1;
                let delay = backoff(self.control.push_attempts, "kinds");
                self.control.push_at = Some(self.now.mono + delay);
                self.count_error("set_kinds");
            }
        }
    }

    fn sync(&mut self) {
        if self.control.syncing.is_some() {
            return;
        }
        // A claim that cannot be read may hold any uuid: nothing is released by a sync, and what
        // is wanted is got again.
        if !self.unreadable.is_empty() {
            if !std::mem::replace(&mut self.control.synced, true) {
                self.touch_all();
            }
            return;
        }
        if let Some(at) = self.control.sync_at.filter(|at| *at > self.now.mono) {
            return self.look_again(at, Timer::Control);
        }
        let uuids = self.wanted();
        self.control.syncing = Some(uuids.clone());
        let generation = self.session.facts.generation;
        self.effects.push(Effect::Sync { generation, uuids });
    }

    pub(super) fn synced(&mut self, generation: u64, result: Result<Synced, NetworkError>) {
        if generation != self.session.facts.generation {
            return;
        }
        let set = self.control.syncing.take().unwrap_or_default();
        match result {
            Ok(Synced {
                released,
                mut missing,
            }) => {
                self.control.synced = true;
                self.control.sync_attempts = 0;
                self.control.sync_at = Some(self.now.mono + SYNC);
                missing.sort_unstable();
                self.hold_all_but(&set, &missing);
                // What was got after the set was made, and is gone with it, is got again.
                for uuid in &released {
                    if let Some(reference) = self.references.get_mut(uuid) {
                        reference.held = false;
                    }
                }
                self.count(Count::Sync("ok"));
                if !released.is_empty() {
                    self.count(Count::Released(released.len() as u64));
                }
            }
            Err(_) => {
                self.control.sync_attempts += 1;
                let delay = backoff(self.control.sync_attempts, "sync");
                self.control.sync_at = Some(self.now.mono + delay);
                self.count(Count::Sync("failed"));
                self.count_error("sync");
            }
        }
    }

    fn sample(&mut self) {
        if self.control.sampling {
            return;
        }
        let at = self.control.sample_at;
        if at > self.now.mono {
            return self.look_again(at, Timer::Control);
        }
        self.control.sampling = true;
        self.control.sample_at = self.now.mono + SAMPLE;
        let kinds = self.desired_kinds().into_keys().collect();
        self.effects.push(Effect::Sample { kinds });
    }

    pub(super) fn sampled(&mut self, result: Result<Sample, NetworkError>) {
        self.control.sampling = false;
        let Ok(sample) = result else {
            return self.count_error("sample");
        };
        for (name, entry) in &mut self.kinds {
            let kind = entry.kind.kind_name();
            let references = sample.references.get(kind).copied();
            entry.numbers = Some(numbers(kind, &sample.agents, references));
            self.dirty.kind_statuses.insert(name.clone());
        }
    }
}

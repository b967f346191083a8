//! The operator's core: what it knows of the cluster and the network, and what it does about it.
//!
//! Pure: inputs come in with the time, effects go out. The driver carries effects out and brings
//! their outcomes back as inputs.

mod api_server;
mod claims;
mod control;
mod kinds;
mod network;
mod objects;
mod port;
mod ready;
mod references;
#[cfg(test)]
mod tests;
mod uuids;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use huly_protocol::{AgentInfo, KindSpec};
use k8s_openapi::jiff::Timestamp;

use self::api_server::ApiServer;
use self::claims::ClaimEntry;
use self::control::Control;
use self::kinds::KindEntry;
use self::network::{Feed, NETWORK_GRACE, Session};
pub(crate) use self::port::{
    ClaimRef, Count, Effect, FeedUpdate, Input, NetworkError, Object, Outcome, Sample,
    SessionFacts, Watched, WriteError,
};
pub(crate) use self::ready::{Counts, Report};
use self::references::Reference;
use crate::model::Age;
use crate::plan::events::ClaimEvent;
use crate::plan::kinds::KindState;

/// Gets and releases without an answer at once.
const MAX_CALLS: usize = 512;

/// The time of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since some fixed moment.
    pub(crate) mono: Duration,
    pub(crate) wall: Timestamp,
}

/// What is to be looked at again at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Claim(String),
    Kind(String),
    Reference(String),
    Control,
    Network,
}

#[derive(Debug, Default)]
struct Listed {
    kinds: bool,
    claims: bool,
    namespaces: bool,
}

impl Listed {
    fn all(&self) -> bool {
        self.kinds && self.claims && self.namespaces
    }
}

/// What an input has touched and [`Core::settle`] looks at.
#[derive(Debug, Default)]
struct Dirty {
    kinds: bool,
    uuids: BTreeSet<String>,
    claims: BTreeSet<String>,
    kind_statuses: BTreeSet<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Core {
    network: String,
    /// Whether it does anything: one that does not looks on.
    leads: bool,
    now: Now,
    listed: Listed,
    /// What cannot be listed or watched now, and why.
    unwatched: BTreeMap<&'static str, String>,
    kinds: BTreeMap<String, KindEntry>,
    states: BTreeMap<String, KindState>,
    /// By metadata.uid.
    claims: HashMap<String, ClaimEntry>,
    /// Claims that exist and cannot be read: nothing is released for want of a claim meanwhile.
    unreadable: HashSet<String>,
    /// The claims that ask for a uuid, by age.
    by_uuid: HashMap<String, BTreeSet<Age>>,
    namespaces: HashMap<String, BTreeMap<String, String>>,
    session: Session,
    feed: Feed,
    agents: BTreeMap<String, AgentInfo>,
    control: Control,
    references: HashMap<String, Reference>,
    /// References of which something is to be done.
    queue: VecDeque<String>,
    /// References that could not be placed, by kind.
    unplaced: BTreeMap<String, BTreeSet<String>>,
    calls: usize,
    /// Claims whose status waits to be written.
    write_queue: VecDeque<String>,
    writes: usize,
    api_server: ApiServer,
    /// Events that wait until no status does.
    events: VecDeque<(ClaimRef, ClaimEvent)>,
    dirty: Dirty,
    timers: BTreeSet<(Duration, Timer)>,
    effects: Vec<Effect>,
}

impl Core {
    /// The core of an operator of a network: of the one that leads, or of one that looks on.
    pub(crate) fn new(network: impl Into<String>, leads: bool, now: Now) -> Self {
        Self {
            network: network.into(),
            leads,
            now,
            listed: Listed::default(),
            unwatched: BTreeMap::new(),
            kinds: BTreeMap::new(),
            states: BTreeMap::new(),
            claims: HashMap::new(),
            unreadable: HashSet::new(),
            by_uuid: HashMap::new(),
            namespaces: HashMap::new(),
            session: Session::new(now.mono),
            feed: Feed::default(),
            agents: BTreeMap::new(),
            control: Control::default(),
            references: HashMap::new(),
            queue: VecDeque::new(),
            unplaced: BTreeMap::new(),
            calls: 0,
            write_queue: VecDeque::new(),
            writes: 0,
            api_server: ApiServer::default(),
            events: VecDeque::new(),
            dirty: Dirty::default(),
            timers: [(now.mono + NETWORK_GRACE, Timer::Network)].into(),
            effects: Vec::new(),
        }
    }

    /// Takes an input in. What comes of it is done by [`settle`](Self::settle), after any number
    /// of inputs.
    pub(crate) fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Kinds(watched) => self.kinds_watched(watched),
            Input::Claims(watched) => self.claims_watched(watched),
            Input::Namespaces(watched) => self.namespaces_watched(watched),
            Input::Watch { what, trouble } => {
                match trouble {
                    Some(why) => self.unwatched.insert(what, why),
                    None => self.unwatched.remove(what),
                };
            }
            Input::Session(facts) => self.session_changed(facts),
            Input::Feed(update) => self.feed_update(update),
            Input::Outcome(outcome) => self.outcome(outcome),
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Got {
                uuid,
                generation,
                result,
            } => self.got(&uuid, generation, result),
            Outcome::Released {
                uuid,
                generation,
                result,
            } => self.released(&uuid, generation, result),
            Outcome::KindsSet { generation, result } => self.kinds_set(generation, result),
            Outcome::Synced { generation, result } => self.synced(generation, result),
            Outcome::Sampled(result) => self.sampled(result),
            Outcome::ClaimWritten { uid, result } => self.claim_written(&uid, result),
            Outcome::KindWritten { name, uid, result } => self.kind_written(&name, &uid, result),
        }
    }

    /// Does what is to be done by now and returns the effects.
    pub(crate) fn settle(&mut self, now: Now) -> Vec<Effect> {
        self.now = now;
        self.take_due_timers();
        // Half of a list says nothing about what does not exist.
        if self.leads && self.listed.all() {
            if std::mem::take(&mut self.dirty.kinds) {
                self.plan_kinds();
            }
            for uuid in std::mem::take(&mut self.dirty.uuids) {
                self.plan_uuid(&uuid);
            }
            self.step_control();
            self.step_references();
            for uid in std::mem::take(&mut self.dirty.claims) {
                self.step_claim(&uid);
            }
            self.write_next();
            for name in std::mem::take(&mut self.dirty.kind_statuses) {
                self.step_kind(&name);
            }
            self.tell_events();
        }
        std::mem::take(&mut self.effects)
    }

    /// Whether the feed is of use: before the lists it would tell of containers that nobody knows
    /// to be wanted.
    pub(crate) fn wants_feed(&self) -> bool {
        self.leads && self.listed.all() && self.dirty.uuids.is_empty()
    }

    /// When [`settle`](Self::settle) is to be called again if nothing comes in.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn take_due_timers(&mut self) {
        while let Some((at, _)) = self.timers.first() {
            if *at > self.now.mono {
                return;
            }
            let Some((_, timer)) = self.timers.pop_first() else {
                return;
            };
            match timer {
                Timer::Claim(uid) => {
                    self.dirty.claims.insert(uid);
                }
                Timer::Kind(name) => {
                    self.dirty.kind_statuses.insert(name);
                }
                Timer::Reference(uuid) => self.touch_reference(&uuid),
                // The steps look at what is due by themselves.
                Timer::Control => {}
                Timer::Network => self.touch_all(),
            }
        }
    }

    /// Statuses go first: people wait for them, and Events are best effort.
    fn tell_events(&mut self) {
        if self.write_queue.is_empty() {
            let events = self.events.drain(..);
            self.effects
                .extend(events.map(|(claim, event)| Effect::Event { claim, event }));
        }
    }

    fn look_again(&mut self, at: Duration, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// Everything that depends on whether the network is there.
    fn touch_all(&mut self) {
        self.dirty.claims.extend(self.claims.keys().cloned());
        self.dirty.kind_statuses.extend(self.kinds.keys().cloned());
        let uuids: Vec<String> = self.references.keys().cloned().collect();
        for uuid in uuids {
            self.enqueue(&uuid);
        }
    }

    /// A reference is to be looked at, and the statuses of its claims.
    fn touch_reference(&mut self, uuid: &str) {
        self.enqueue(uuid);
        if let Some(ages) = self.by_uuid.get(uuid) {
            let uids = ages.iter().map(|age| age.uid.clone());
            self.dirty.claims.extend(uids);
        }
    }

    fn count(&mut self, count: Count) {
        self.effects.push(Effect::Count(count));
    }

    fn count_error(&mut self, reason: &'static str) {
        self.count(Count::Error(reason));
    }

    /// The accepted specifications by kind name.
    fn desired_kinds(&self) -> BTreeMap<String, KindSpec> {
        self.states
            .values()
            .filter_map(|state| match state {
                KindState::Accepted(spec) => Some((spec.kind.clone(), spec.clone())),
                KindState::Conflict { .. } | KindState::OtherNetwork => None,
            })
            .collect()
    }
}

/// The delay before the n-th try again: exponential, with a jitter that `key` decides.
fn backoff(attempts: u32, key: &str) -> Duration {
    use std::hash::{DefaultHasher, Hash, Hasher};
    const LONGEST: u64 = 15_000;
    let base = (500u64 << attempts.clamp(1, 6)).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (key, attempts).hash(&mut hasher);
    // Between 75 and 125 %.
    Duration::from_millis(base * 3 / 4 + hasher.finish() % (base / 2))
}

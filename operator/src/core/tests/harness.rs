//! A core, an API server that takes statuses, and a network, in step and in made time.

mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use huly_operator_api::{ContainerClaimStatus, ContainerKindStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use self::network::Network;
use crate::core::{Core, Effect, Input, Now, Object, Outcome, SessionFacts, Watched, WriteError};
use crate::model::{Age, Claim, Kind, Namespace};

/// A ContainerKind of the network `default`, generation 1.
pub(super) fn kind(name: &str) -> Kind {
    let mut kind = Kind {
        name: name.into(),
        age: Age {
            created: 1,
            uid: format!("uid-{name}"),
        },
        generation: 1,
        ..Kind::default()
    };
    kind.spec.network_name = "default".into();
    kind
}

pub(super) struct Harness {
    pub(super) core: Core,
    pub(super) network: Network,
    /// (claim's name, reason)
    pub(super) events: Vec<(String, &'static str)>,
    pub(super) fail_writes: u32,
    pub(super) tried_writes: u32,
    /// What sets kinds is under way for long: it comes to the network when it is taken from here.
    pub(super) slow_kinds: Option<Vec<Effect>>,
    now: Duration,
    generation: u64,
    version: u64,
    claims: BTreeMap<String, Claim>,
    kinds: BTreeMap<String, Kind>,
    claim_writes: BTreeMap<String, u32>,
    kind_writes: BTreeMap<String, u32>,
}

impl Harness {
    /// A started operator with nothing to do.
    pub(super) fn new() -> Self {
        let mut it = Self {
            core: Core::new("default", true, at(Duration::ZERO)),
            network: Network::default(),
            events: Vec::new(),
            fail_writes: 0,
            tried_writes: 0,
            slow_kinds: None,
            now: Duration::ZERO,
            generation: 0,
            version: 0,
            claims: BTreeMap::new(),
            kinds: BTreeMap::new(),
            claim_writes: BTreeMap::new(),
            kind_writes: BTreeMap::new(),
        };
        it.list();
        it.restart_server();
        it.run();
        it
    }

    /// The same with a kind `echo`, an agent `a` that serves it, and claims: namespace, name, uuid.
    pub(super) fn with_claims(claims: &[(&str, &str, Option<&str>)]) -> Self {
        let mut it = Self::new();
        it.agent("a", &["echo"]);
        it.kind(kind("echo"));
        for (namespace, name, uuid) in claims {
            it.claim(namespace, name, "echo", *uuid);
        }
        it.run();
        it
    }

    fn list(&mut self) {
        let namespaces = ["a", "b", "demo"].map(|name| {
            Object::Read(Namespace {
                name: name.into(),
                labels: BTreeMap::new(),
            })
        });
        let kinds = self.kinds.values().cloned().map(Object::Read).collect();
        let claims = self.claims.values().cloned().map(Object::Read).collect();
        self.input(Input::Namespaces(Watched::Listed(namespaces.into())));
        self.input(Input::Kinds(Watched::Listed(kinds)));
        self.input(Input::Claims(Watched::Listed(claims)));
    }

    fn input(&mut self, input: Input) {
        self.core.handle(at(self.now), input);
    }

    pub(super) fn agent(&mut self, id: &str, kinds: &[&str]) {
        self.network.add_agent(id, kinds);
    }

    pub(super) fn kind(&mut self, mut kind: Kind) {
        self.version += 1;
        kind.version = self.version;
        if let Some(before) = self.kinds.get(&kind.name) {
            kind.status = before.status.clone();
        }
        self.kinds.insert(kind.name.clone(), kind.clone());
        self.input(Input::Kinds(Watched::Applied(Object::Read(kind))));
    }

    pub(super) fn delete_kind(&mut self, name: &str) {
        let kind = self.kinds.remove(name).unwrap();
        self.input(Input::Kinds(Watched::Deleted(Object::Read(kind))));
    }

    pub(super) fn claim(&mut self, namespace: &str, name: &str, kind: &str, uuid: Option<&str>) {
        self.version += 1;
        let mut claim = Claim {
            namespace: namespace.into(),
            name: name.into(),
            age: Age {
                created: i64::try_from(self.version).unwrap(),
                uid: format!("uid-{name}"),
            },
            generation: 1,
            version: self.version,
            ..Claim::default()
        };
        claim.spec.network_name = "default".into();
        claim.spec.container_kind_name = kind.into();
        claim.spec.uuid = uuid.map(str::to_owned);
        self.claims.insert(name.into(), claim.clone());
        self.input(Input::Claims(Watched::Applied(Object::Read(claim))));
    }

    /// Somebody else writes to it, and the watch does not tell yet.
    pub(super) fn touch_unseen(&mut self, name: &str) {
        self.version += 1;
        self.claims.get_mut(name).unwrap().version = self.version;
    }

    /// The watch tells how it is.
    pub(super) fn tell(&mut self, name: &str) {
        let claim = self.claims[name].clone();
        self.input(Input::Claims(Watched::Applied(Object::Read(claim))));
    }

    pub(super) fn delete(&mut self, name: &str) {
        let claim = self.claims.remove(name).unwrap();
        self.input(Input::Claims(Watched::Deleted(Object::Read(claim))));
    }

    pub(super) fn unreadable(&mut self, name: &str) {
        let uid = self.claims[name].age.uid.clone();
        self.input(Input::Claims(Watched::Listed(vec![Object::Unreadable(
            uid,
        )])));
    }

    pub(super) fn network_down(&mut self, why: &str) {
        let facts = SessionFacts {
            generation: self.generation,
            usable: Err(why.into()),
        };
        self.input(Input::Session(facts));
    }

    /// A server that knows what agents and clients tell it again.
    pub(super) fn restart_server(&mut self) {
        self.network.restart();
        self.generation += 1;
        let facts = SessionFacts {
            generation: self.generation,
            usable: Ok(()),
        };
        self.input(Input::Session(facts));
    }

    /// Another process of the operator, which finds the claims as `change` leaves them.
    pub(super) fn restart_operator(&mut self, change: impl FnOnce(&mut Vec<Claim>)) {
        self.restart_operator_without_lists();
        let mut claims: Vec<Claim> = std::mem::take(&mut self.claims).into_values().collect();
        change(&mut claims);
        self.claims = claims
            .into_iter()
            .map(|claim| (claim.name.clone(), claim))
            .collect();
        self.list();
    }

    /// The same process, while another one leads.
    pub(super) fn look_on(&mut self) {
        self.core = Core::new("default", false, at(self.now));
        self.list();
    }

    pub(super) fn restart_operator_without_lists(&mut self) {
        self.core = Core::new("default", true, at(self.now));
        self.generation += 1;
        self.network.subscribe();
        let facts = SessionFacts {
            generation: self.generation,
            usable: Ok(()),
        };
        self.input(Input::Session(facts));
    }

    /// Runs until nothing is left to do at this time.
    pub(super) fn run(&mut self) {
        loop {
            let mut idle = true;
            if self.core.wants_feed() {
                for update in self.network.take_feed() {
                    idle = false;
                    self.input(Input::Feed(update));
                }
            }
            let effects = self.core.settle(at(self.now));
            let waits = self.core.wants_feed() && self.network.has_feed();
            if idle && effects.is_empty() && !waits {
                return;
            }
            for effect in effects {
                if let Some(outcome) = self.carry_out(effect) {
                    self.input(Input::Outcome(outcome));
                }
            }
        }
    }

    pub(super) fn pass_seconds(&mut self, seconds: u64) {
        self.pass_millis(seconds * 1_000);
    }

    /// Lets time pass, stopping at each deadline of the core.
    pub(super) fn pass_millis(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        self.run();
        while let Some(at) = self.core.deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Outcome> {
        match effect {
            Effect::WriteClaim {
                claim,
                version,
                status,
            } => {
                let stored = self.claims.get(&claim.name);
                let result = self.write(stored.map(|stored| stored.version), version);
                if let Ok(version) = result {
                    let stored = self.claims.get_mut(&claim.name).unwrap();
                    stored.status = *status;
                    stored.version = version;
                    *self.claim_writes.entry(claim.name.clone()).or_default() += 1;
                    // The watch tells of it, too.
                    let echo = Watched::Applied(Object::Read(stored.clone()));
                    self.core.handle(at(self.now), Input::Claims(echo));
                }
                let uid = claim.uid;
                Some(Outcome::ClaimWritten { uid, result })
            }
            Effect::WriteKind {
                name,
                uid,
                version,
                status,
            } => {
                let stored = self.kinds.get(&name);
                let result = self.write(stored.map(|stored| stored.version), version);
                if let Ok(version) = result {
                    let stored = self.kinds.get_mut(&name).unwrap();
                    stored.status = *status;
                    stored.version = version;
                    *self.kind_writes.entry(name.clone()).or_default() += 1;
                    let echo = Watched::Applied(Object::Read(stored.clone()));
                    self.core.handle(at(self.now), Input::Kinds(echo));
                }
                Some(Outcome::KindWritten { name, uid, result })
            }
            Effect::Event { claim, event } => {
                self.events.push((claim.name, event.reason));
                None
            }
            Effect::Count(_) => None,
            effect => match (&mut self.slow_kinds, &effect) {
                (Some(slow), Effect::SetKinds { .. }) => {
                    slow.push(effect);
                    None
                }
                _ => Some(self.network.carry_out(effect)),
            },
        }
    }

    /// What was under way comes to the network, and its answers to the operator.
    pub(super) fn end_slow_kinds(&mut self) {
        for effect in self.slow_kinds.take().into_iter().flatten() {
            let outcome = self.network.carry_out(effect);
            self.input(Input::Outcome(outcome));
        }
        self.run();
    }

    /// Writes what follows a version over the one that is stored.
    fn write(&mut self, stored: Option<u64>, follows: u64) -> Result<u64, WriteError> {
        self.tried_writes += 1;
        if self.fail_writes > 0 {
            self.fail_writes -= 1;
            return Err(WriteError::Away);
        }
        match stored {
            None => return Err(WriteError::Gone),
            Some(stored) if stored != follows => return Err(WriteError::Conflict),
            Some(_) => {}
        }
        self.version += 1;
        Ok(self.version)
    }

    pub(super) fn status(&self, name: &str) -> ContainerClaimStatus {
        self.claims[name].status.clone()
    }

    pub(super) fn kind_status(&self, name: &str) -> ContainerKindStatus {
        self.kinds[name].status.clone()
    }

    /// The claim's conditions, each as Status/Reason.
    pub(super) fn said(&self, name: &str) -> String {
        said(&self.claims[name].status.conditions)
    }

    pub(super) fn kind_said(&self, name: &str) -> String {
        said(&self.kinds[name].status.conditions)
    }

    /// The reason of the claim's Ready.
    pub(super) fn reason(&self, name: &str) -> String {
        let conditions = &self.claims[name].status.conditions;
        conditions
            .last()
            .map(|ready| ready.reason.clone())
            .unwrap_or_default()
    }

    pub(super) fn writes(&self, name: &str) -> u32 {
        self.claim_writes.get(name).copied().unwrap_or_default()
    }

    pub(super) fn all_writes(&self) -> u32 {
        self.claim_writes.values().sum()
    }

    pub(super) fn kind_writes(&self, name: &str) -> u32 {
        self.kind_writes.get(name).copied().unwrap_or_default()
    }

    /// The Events so far, each as "claim Reason".
    pub(super) fn told(&self) -> Vec<String> {
        let events = self.events.iter();
        events
            .map(|(claim, reason)| format!("{claim} {reason}"))
            .collect()
    }
}

fn said(conditions: &[Condition]) -> String {
    let each: Vec<String> = conditions
        .iter()
        .map(|condition| format!("{}/{}", condition.status, condition.reason))
        .collect();
    each.join(" ")
}

fn at(mono: Duration) -> Now {
    let since = Duration::from_secs(1_780_000_000) + mono;
    Now {
        mono,
        wall: Timestamp::try_from(std::time::UNIX_EPOCH + since).unwrap(),
    }
}

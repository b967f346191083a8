//! Stateless uuids: the agent makes a container of each beforehand (W19). It stands by while another
//! agent has the uuid: it takes no requests and keeps no clients.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{Endpoint, ErrorCode, ErrorPayload, GetRequest, Json, KindSpec, StartExt};

use super::container::{Container, Reason, Start, State, is_serial};
use super::types::{Effect, EndReport, Id, Role, Run};
use super::{Agent, Deadline, error};

/// How long it takes at least until another is made: longer than standbys elsewhere take to register
/// at an original server (W26), for one of theirs is to have the uuid.
const AGAIN: Duration = Duration::from_millis(250);
/// What ends earlier than this may do so again at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How often the time to the next is doubled while lives are short: up to 16 s.
const MOST_DOUBLED: u32 = 6;

/// The uuids of which the agent makes containers beforehand.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    plans: BTreeMap<Id, Plan>,
    /// Standbys by kind.
    pub(super) by_kind: BTreeMap<Id, usize>,
    /// Whether the server is an original one: it tells nobody to have a uuid, who registers first
    /// has it.
    original: bool,
}

/// What is made beforehand under a uuid.
#[derive(Debug)]
struct Plan {
    kind: Id,
    spec: Option<KindSpec>,
    /// How many short lives there were in a row.
    short_lives: u32,
    not_before: Duration,
}

impl Agent {
    /// Finds out what is to be made beforehand, now that specifications have changed. What need not
    /// stand by any more ends; who has a uuid keeps it.
    pub(super) fn plan_standbys(&mut self) {
        let mut wanted: BTreeMap<Id, (Id, Option<KindSpec>)> = BTreeMap::new();
        for (uuid, kind) in &self.config.stateless {
            let spec = self.specs.get(kind).cloned();
            wanted.insert(Id::from(uuid.as_str()), (Id::from(kind.as_str()), spec));
        }
        for spec in self.specs.values() {
            let (kinds, labels) = (&self.config.kinds, &self.config.labels);
            if let Some(uuid) = &spec.stateless_uuid
                && kinds.contains(&spec.kind)
                && spec.agent_selector.matches(labels)
            {
                let plan = (Id::from(spec.kind.as_str()), Some(spec.clone()));
                wanted.entry(Id::from(uuid.as_str())).or_insert(plan);
            }
        }
        let before = std::mem::take(&mut self.standbys.plans);
        for (uuid, plan) in &before {
            match wanted.get(uuid).filter(|(kind, _)| *kind == plan.kind) {
                None => self.unplan(uuid),
                // The server takes it for as any other now: it is told better.
                Some((_, spec))
                    if names(plan.spec.as_ref(), uuid) && !names(spec.as_ref(), uuid) =>
                {
                    self.report_soon();
                }
                Some(_) => {}
            }
        }
        let now = self.now;
        for (uuid, (kind, spec)) in wanted {
            let known = before.get(&uuid).filter(|plan| plan.kind == kind);
            let plan = Plan {
                short_lives: known.map_or(0, |plan| plan.short_lives),
                not_before: known.map_or(now, |plan| plan.not_before),
                kind,
                spec,
            };
            self.standbys.plans.insert(uuid, plan);
        }
        self.make_standbys();
    }

    /// Nothing is made beforehand under a uuid any more.
    fn unplan(&mut self, uuid: &Id) {
        let Some(container) = self.containers.get_mut(uuid) else {
            return;
        };
        match container.role {
            Role::Ordinary => {}
            Role::Standby => self.stop(uuid, Reason::Unwanted, None),
            Role::Owner => {
                container.role = Role::Ordinary;
                self.report_soon();
            }
        }
    }

    /// Makes what is to stand by and is not there, once its time has come.
    pub(super) fn make_standbys(&mut self) {
        if self.drain.is_on() {
            return;
        }
        let missing: Vec<Id> = self
            .standbys
            .plans
            .keys()
            .filter(|uuid| !self.containers.contains_key(*uuid))
            .cloned()
            .collect();
        for uuid in missing {
            let Some(plan) = self.standbys.plans.get(&uuid) else {
                continue;
            };
            if plan.not_before > self.now {
                let again = (plan.not_before, Deadline::Standbys);
                self.deadlines.insert(again);
                continue;
            }
            let start = Start {
                uuid,
                kind: plan.kind.clone(),
                request: GetRequest::default(),
                told: StartExt {
                    spec: plan.spec.clone(),
                    by_uuid: true,
                    ..StartExt::default()
                },
                waiters: Vec::new(),
                asked_after: self.registrations,
            };
            self.launch(start, Role::Standby);
        }
    }

    /// Whether all that is made beforehand has started.
    pub(super) fn standbys_are_made(&self) -> bool {
        let mut uuids = self.standbys.plans.keys();
        uuids.all(|uuid| self.containers.get(uuid).is_some_and(Container::is_live))
    }

    /// What a container is that the server starts.
    pub(super) fn role_of(&self, start: &Start) -> Role {
        let plan = self.standbys.plans.get(&start.uuid);
        let planned = plan.is_some_and(|plan| plan.kind == start.kind);
        match planned || names(start.told.spec.as_ref(), &start.uuid) {
            true => Role::Owner,
            false => Role::Ordinary,
        }
    }

    /// The server chose this agent's standby: it has the uuid once it says that it is ready.
    pub(super) fn activate(&mut self, start: Start) -> Result<Option<Json>, ErrorPayload> {
        let now = self.now;
        let Some(container) = self.containers.get_mut(&start.uuid) else {
            return Ok(None);
        };
        if !container.is_live() {
            let message = format!(
                "the standby of container {} on {} is not ready",
                start.uuid, self.config.agent
            );
            return Err(error(ErrorCode::Busy, message));
        }
        container.take_over(start, now);
        let run = container.run;
        let late = now + container.start_timeout();
        container.starts_until = late;
        let seed = Box::new(container.seed());
        let kind = container.kind.clone();
        self.uncount(&kind, Role::Standby);
        self.count(&kind, Role::Owner);
        self.deadlines.insert((late, Deadline::Start(run)));
        self.effect(Effect::Activate { run, seed });
        Ok(None)
    }

    /// The server answered a registration that listed these. An original one leaves a uuid to who
    /// registers it first and names it to others, whose standbys stay.
    pub(super) fn own_what_is_free(&mut self, reported: BTreeMap<Id, Run>, refused: &[String]) {
        if !self.standbys.original {
            return;
        }
        for (uuid, run) in reported {
            let stands_by = self
                .containers
                .get(&uuid)
                .filter(|container| container.run == run && container.is_standby());
            let Some(container) = stands_by.filter(|_| !refused.iter().any(|of| **of == *uuid))
            else {
                continue;
            };
            let start = Start {
                uuid: uuid.clone(),
                kind: container.kind.clone(),
                request: container.request.clone(),
                told: container.told.clone(),
                waiters: Vec::new(),
                asked_after: self.registrations,
            };
            // One that is being ended has nobody who waits for it.
            let _ = self.activate(start);
        }
    }

    pub(super) fn server_is(&mut self, original: bool) {
        self.standbys.original = original;
    }

    /// An original server says that containers are gone: who has a standby registers it again.
    pub(super) fn are_free(&mut self, uuids: &[String]) {
        let stands_by = |uuid: &String| {
            let container = self.containers.get(uuid.as_str());
            container.is_some_and(Container::is_standby)
        };
        if uuids.iter().any(stands_by) {
            self.report_soon();
        }
    }

    /// A container has ended: where one is made beforehand, another is, in a while.
    pub(super) fn follow(&mut self, container: &Container, reason: Reason, how: &EndReport) {
        let Some(plan) = self.standbys.plans.get_mut(&container.uuid) else {
            return;
        };
        let by_itself = matches!(
            reason,
            Reason::StartFailed | Reason::StartTimeout | Reason::PingFailed
        ) || matches!(how, EndReport::ByItself | EndReport::Panicked(_));
        let short = self.now.saturating_sub(container.made) < SHORT_LIFE;
        plan.short_lives = match by_itself && short {
            true => plan.short_lives.saturating_add(1),
            false => 0,
        };
        let doubled = plan.short_lives.saturating_sub(1).min(MOST_DOUBLED);
        plan.not_before = self.now + AGAIN * (1 << doubled);
        self.make_standbys();
    }

    pub(super) fn count(&mut self, kind: &Id, role: Role) {
        *self.counts(role).entry(kind.clone()).or_default() += 1;
    }

    pub(super) fn uncount(&mut self, kind: &Id, role: Role) {
        if let Some(count) = self.counts(role).get_mut(kind) {
            *count -= 1;
        }
    }

    fn counts(&mut self, role: Role) -> &mut BTreeMap<Id, usize> {
        match role {
            Role::Standby => &mut self.standbys.by_kind,
            Role::Ordinary | Role::Owner => &mut self.by_kind,
        }
    }
}

/// Whether a specification says that the uuid is made beforehand.
fn names(spec: Option<&KindSpec>, uuid: &str) -> bool {
    spec.and_then(|spec| spec.stateless_uuid.as_deref()) == Some(uuid)
}

impl Container {
    pub(super) fn is_standby(&self) -> bool {
        self.role == Role::Standby
    }

    /// Whether it takes requests and has clients.
    pub(super) fn serves(&self) -> bool {
        self.is_live() && !self.is_standby()
    }

    /// What stood by is to have the uuid: it starts a second time.
    fn take_over(&mut self, start: Start, now: Duration) {
        self.role = Role::Owner;
        // It is reached where it was, in another life.
        if let Ok(mut endpoint) = Endpoint::parse(&self.endpoint) {
            endpoint.epoch = start.told.epoch;
            self.endpoint = endpoint.text();
        }
        self.request = start.request;
        self.serial = is_serial(&start.told);
        self.told = start.told;
        self.asked_after = start.asked_after;
        self.last_visit = now;
        self.state = State::Starting {
            waiters: start.waiters,
        };
    }
}

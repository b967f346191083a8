//! Stateless uuids (W19): agents make a container of one beforehand. One of them owns the uuid, the
//! others' stand by, and one of those has it next.

use std::collections::BTreeSet;

use huly_protocol::{ContainerRecord, EventKind, GetRequest, KindSpec, Stateless};

use crate::agents::Agent;
use crate::entry::State;
use crate::registry::{Id, Registry};

/// What a container is that an agent says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The one of its uuid.
    Stays,
    /// In reserve: another has the uuid, or will be told to.
    StandsBy,
    /// To be ended: the uuid is another's.
    Ends,
}

impl Registry {
    /// Whether the specification of the kind says that the uuid is made beforehand.
    pub(crate) fn names(&self, kind: &str, uuid: &str) -> bool {
        let known = self.kinds.get(kind);
        known.is_some_and(|known| known.spec.stateless_uuid.as_deref() == Some(uuid))
    }

    /// Whether containers of the uuid are made beforehand: it is never ended for want of references.
    pub(crate) fn is_stateless(&self, uuid: &Id) -> bool {
        let entry = self.entries.get(uuid);
        let made = entry.is_some_and(|entry| entry.stateless || self.names(&entry.kind, uuid));
        made || self.any_standby(uuid)
    }

    /// Whether a record is of a container that was made beforehand. A TypeScript agent does not say
    /// so, but has no such kind among those that it can host.
    fn made_beforehand(&self, agent: &Id, uuid: &Id, record: &ContainerRecord) -> bool {
        let said = record.huly.as_ref().and_then(|ext| ext.stateless).is_some();
        let kinds = self.agents.get(agent).map(|agent| &agent.kinds);
        let served = kinds.is_some_and(|kinds| kinds.contains(record.kind.as_str()));
        said || !served || self.names(&record.kind, uuid)
    }

    /// Notes whether the container that has the uuid was made beforehand.
    pub(crate) fn note_stateless(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        let stateless = self.made_beforehand(agent, uuid, record);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.stateless = stateless;
        }
    }

    /// Whether an agent keeps a container of the uuid in reserve.
    pub(crate) fn any_standby(&self, uuid: &Id) -> bool {
        self.in_reserve.contains_key(uuid)
    }

    /// Whether a container that has no agent is to have one though nobody holds it: an agent of ours
    /// has one ready. (A TypeScript agent registers its own when it sees that the uuid is free.)
    pub(crate) fn is_ready(&self, uuid: &Id) -> bool {
        let agents = self.in_reserve.get(uuid);
        let mut agents = agents.into_iter().flatten();
        agents.any(|agent| self.agents.get(agent).is_some_and(|agent| agent.rust))
    }

    fn add_standby(&mut self, agent: &Id, uuid: &Id, kind: &Id) {
        let Some(known) = self.agents.get_mut(agent) else {
            return;
        };
        known.standbys.insert(uuid.clone(), kind.clone());
        let agents = self.in_reserve.entry(uuid.clone()).or_default();
        agents.insert(agent.clone());
    }

    /// Takes a standby away, for it has the uuid or is there no more. Returns whether it was there.
    pub(crate) fn take_standby(&mut self, agent: &Id, uuid: &Id) -> bool {
        let known = self.agents.get_mut(agent);
        let kind = known.and_then(|known| known.standbys.remove(uuid));
        self.not_in_reserve(agent, uuid);
        kind.is_some()
    }

    fn not_in_reserve(&mut self, agent: &Id, uuid: &Id) {
        if let Some(agents) = self.in_reserve.get_mut(uuid)
            && agents.remove(agent)
            && agents.is_empty()
        {
            self.in_reserve.remove(uuid);
        }
    }

    /// A Rust agent has a container in reserve.
    pub(crate) fn standby_registered(
        &mut self,
        agent: &Id,
        uuid: &Id,
        record: &ContainerRecord,
    ) -> Claim {
        let kind = Id::from(record.kind.as_str());
        if !self.entries.contains_key(uuid) {
            // Its owner may not have registered yet.
            let state = match self.settling() {
                true => State::Expected,
                false => State::Waiting,
            };
            self.add_entry(uuid, &kind, &GetRequest::default(), true, state);
            self.takes_no_room(uuid);
        }
        let Some(entry) = self.entries.get(uuid) else {
            return Claim::StandsBy;
        };
        let ended = match &entry.state {
            // It was told to have the uuid and has not come to that yet.
            State::Starting { agent: on, .. } if on == agent => return Claim::Stays,
            State::Live { agent: on } => on == agent,
            _ => false,
        };
        if entry.state == State::Waiting {
            self.waiting.insert(uuid.clone());
        }
        self.add_standby(agent, uuid, &kind);
        if ended {
            // What had the uuid there has ended, and this one was made since.
            self.fail_calls(agent, Some(uuid));
            self.lose(uuid, agent, "ContainerEnded", self.now.mono);
        }
        Claim::StandsBy
    }

    /// What becomes of a container whose uuid another agent has. A TypeScript agent's stays in
    /// reserve: it registers it again when the uuid is free (W26). One of ours that had the uuid
    /// before is ended, and its agent makes another.
    pub(crate) fn refused_claim(
        &mut self,
        agent: &Id,
        uuid: &Id,
        record: &ContainerRecord,
    ) -> Claim {
        self.inherit_holders(uuid, record);
        let plain = self.agents.get(agent).is_some_and(|agent| !agent.rust);
        if !plain || !self.made_beforehand(agent, uuid, record) {
            return Claim::Ends;
        }
        self.add_standby(agent, uuid, &Id::from(record.kind.as_str()));
        Claim::StandsBy
    }

    /// Whether an agent whose container lost the uuid keeps it in reserve; if so it is noted.
    pub(crate) fn steps_back(&mut self, loser: &Id, uuid: &Id, kind: &Id) -> bool {
        let plain = self.agents.get(loser).is_some_and(|agent| !agent.rust);
        let stays = plain && self.is_stateless(uuid);
        if stays {
            self.add_standby(loser, uuid, kind);
        }
        stays
    }

    /// Forgets the standbys of an agent that its registration does not name.
    pub(crate) fn keep_standbys(&mut self, agent: &Id, named: &BTreeSet<Id>) {
        let known = self.agents.get(agent);
        let had = known.into_iter().flat_map(|known| known.standbys.keys());
        let gone: Vec<Id> = had.filter(|uuid| !named.contains(*uuid)).cloned().collect();
        for uuid in gone {
            self.forget_standby(agent, &uuid);
        }
    }

    /// An agent has a standby no more.
    pub(crate) fn forget_standby(&mut self, agent: &Id, uuid: &Id) {
        if self.take_standby(agent, uuid) {
            self.standby_gone(uuid);
        }
    }

    /// An agent is gone that had these.
    pub(crate) fn forget_standbys(&mut self, gone: &Agent) {
        for uuid in gone.standbys.keys() {
            self.not_in_reserve(&gone.id, uuid);
            self.standby_gone(uuid);
        }
    }

    /// A uuid that waits may have nobody to wait for any more, and one that is had may be as any
    /// other.
    fn standby_gone(&mut self, uuid: &Id) {
        self.place_again(uuid);
        self.mind_idle(uuid);
    }

    /// A kind's specification is another one now, or there is none: what it said of a uuid no longer
    /// holds.
    pub(crate) fn unname(&mut self, before: Option<&KindSpec>) {
        let Some(spec) = before else { return };
        let Some(uuid) = spec.stateless_uuid.as_deref().map(Id::from) else {
            return;
        };
        if self.names(&spec.kind, &uuid) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&uuid) {
            // An agent of ours that makes it beforehand of its own accord says so again.
            let agent = entry.agent().and_then(|agent| self.agents.get(agent));
            entry.stateless = agent.is_some_and(|agent| !agent.kinds.contains(&entry.kind));
        }
        self.mind_idle(&uuid);
    }

    /// An owner is gone. TypeScript standbys register when they see that, and clients of the
    /// original see what follows in a message of its own.
    pub(crate) fn announce_free(&mut self, uuid: &Id) {
        if self.is_stateless(uuid) {
            self.publish_plain(uuid, EventKind::Removed);
        }
    }
}

/// Whether a record is of a Rust agent's standby.
pub(crate) fn stands_by(record: &ContainerRecord) -> bool {
    let said = record.huly.as_ref().and_then(|ext| ext.stateless);
    said == Some(Stateless::Standby)
}

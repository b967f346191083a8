//! Stateless uuids (W19): agents make a container of one beforehand. One of them owns the uuid, the
//! others' stand by, and one of those has it next.

use std::collections::BTreeMap;

use huly_protocol::{ContainerRecord, EventKind, GetRequest, KindSpec, Stateless};

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
        entry.is_some_and(|entry| entry.stateless || self.names(&entry.kind, uuid))
    }

    /// Whether a record is of a container that was made beforehand. A TypeScript agent does not say
    /// so, but has no such kind among those that it can host.
    fn made_beforehand(&self, agent: &Id, uuid: &Id, record: &ContainerRecord) -> bool {
        let said = record.huly.as_ref().and_then(|ext| ext.stateless).is_some();
        let kinds = self.agents.get(agent).map(|agent| &agent.kinds);
        let served = kinds.is_some_and(|kinds| kinds.contains(record.kind.as_str()));
        said || !served || self.names(&record.kind, uuid)
    }

    /// Notes whether the uuid that an agent has is one of containers that are made beforehand.
    pub(crate) fn note_stateless(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        let stateless = self.made_beforehand(agent, uuid, record) || self.any_standby(uuid);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.stateless = stateless;
        }
    }

    /// Whether somebody is there who has, or may still bring, a container of the uuid.
    pub(crate) fn any_standby(&self, uuid: &Id) -> bool {
        let mut agents = self.agents.values();
        agents.any(|agent| !agent.suspected && agent.standbys.contains_key(uuid))
    }

    /// Whether a container that has no agent is to have one though nobody holds it: an agent of ours
    /// has one ready. (A TypeScript agent registers its own when it sees that the uuid is free.)
    pub(crate) fn is_ready(&self, uuid: &Id) -> bool {
        let stateless = self.entries.get(uuid).is_some_and(|entry| entry.stateless);
        let mut agents = self.agents.values();
        stateless && agents.any(|agent| agent.rust && agent.standbys.contains_key(uuid))
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
        }
        let Some(entry) = self.entries.get_mut(uuid) else {
            return Claim::StandsBy;
        };
        entry.stateless = true;
        let ended = match &entry.state {
            // It was told to have the uuid and has not come to that yet.
            State::Starting { agent: on, .. } if on == agent => return Claim::Stays,
            State::Live { agent: on } => on == agent,
            _ => false,
        };
        if entry.state == State::Waiting {
            self.waiting.insert(uuid.clone());
        }
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.standbys.insert(uuid.clone(), kind);
        }
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
        let plain = self.agents.get(agent).is_some_and(|agent| !agent.rust);
        if !plain || !self.made_beforehand(agent, uuid, record) {
            return Claim::Ends;
        }
        self.keep_plain_standby(agent, uuid, &Id::from(record.kind.as_str()));
        Claim::StandsBy
    }

    fn keep_plain_standby(&mut self, agent: &Id, uuid: &Id, kind: &Id) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.standbys.insert(uuid.clone(), kind.clone());
        }
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.stateless = true;
        }
    }

    /// Whether an agent whose container lost the uuid keeps it in reserve; if so it is noted.
    pub(crate) fn steps_back(&mut self, loser: &Id, uuid: &Id, kind: &Id) -> bool {
        let plain = self.agents.get(loser).is_some_and(|agent| !agent.rust);
        let stays = plain && self.is_stateless(uuid);
        if stays {
            self.keep_plain_standby(loser, uuid, kind);
        }
        stays
    }

    /// Forgets the standbys of an agent that its registration does not name.
    pub(crate) fn keep_standbys(&mut self, agent: &Id, named: &BTreeMap<Id, Id>) {
        let Some(known) = self.agents.get_mut(agent) else {
            return;
        };
        let before = std::mem::take(&mut known.standbys);
        let (kept, gone) = before
            .into_iter()
            .partition(|(uuid, _)| named.contains_key(uuid));
        known.standbys = kept;
        self.standbys_gone(gone);
    }

    /// An agent has a standby no more.
    pub(crate) fn forget_standby(&mut self, agent: &Id, uuid: &Id) {
        let known = self.agents.get_mut(agent);
        let gone = known.and_then(|known| known.standbys.remove_entry(uuid));
        self.standbys_gone(gone.into_iter().collect());
    }

    /// Uuids that wait may have nobody to wait for any more.
    pub(crate) fn standbys_gone(&mut self, gone: BTreeMap<Id, Id>) {
        for uuid in gone.into_keys() {
            let state = self.entries.get(&uuid).map(|entry| &entry.state);
            match state {
                Some(State::Waiting) => {
                    self.place(&uuid);
                    self.mind_idle(&uuid);
                }
                Some(State::Expected) => self.mind_idle(&uuid),
                _ => {}
            }
        }
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
            entry.stateless = false;
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

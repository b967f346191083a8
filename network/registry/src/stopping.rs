//! Containers that an agent is ending as it registers: their uuids are not free yet.
//!
//! The server that told it to may be gone, and of those that end by themselves the word may have
//! been lost. So the agent says which they are, and is told to end them once more: it answers when
//! they have.

use std::collections::BTreeSet;

use huly_protocol::{AgentRegistration, ContainerRecord, Epoch, GetRequest};

use crate::entry::{Lost, State, epoch_of};
use crate::registration::MAX_TEXT;
use crate::registry::{Id, Registry};
use crate::standby::stands_by;

impl Registry {
    /// What an agent says that it is ending. Of those that it has `seen` living, or that `left` it
    /// since it began to say so, more is known.
    pub(crate) fn claim_all_stopping(
        &mut self,
        agent: &Id,
        records: &[ContainerRecord],
        left: &BTreeSet<Id>,
        seen: &mut BTreeSet<Id>,
    ) {
        for record in records {
            if record.uuid.is_empty() || record.uuid.len() > MAX_TEXT {
                self.bad_message("bad_record");
                continue;
            }
            let uuid = Id::from(record.uuid.as_str());
            // No uuid has to wait for what stood by.
            if !left.contains(&uuid) && !stands_by(record) && seen.insert(uuid.clone()) {
                self.claim_stopping(agent, &uuid, record);
            }
        }
    }

    /// An agent says that it is ending a container.
    fn claim_stopping(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        let said = epoch_of(record);
        let (new, lived_here) = match self.entries.get(uuid) {
            None => (true, false),
            Some(entry) => match &entry.state {
                // Who asks for it may know of a later life than this one, elsewhere.
                State::Expected | State::Waiting
                    if entry
                        .epoch
                        .max(entry.known_epoch)
                        .is_none_or(|of| said >= Some(of)) =>
                {
                    (true, false)
                }
                State::Live { agent: on } if on == agent && said >= entry.epoch => (false, true),
                // It is known, or it is an earlier life.
                _ => return,
            },
        };
        if new {
            self.take_up(agent, uuid, record);
        }
        let now = self.now.mono;
        let reason = self.leaves_because(agent, "ContainerEnded");
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.epoch = said.or(entry.epoch);
            match &mut entry.lost {
                Some(lost) => lost.reason = reason,
                None if lived_here => {
                    entry.lost = Some(Lost {
                        from: agent.to_string(),
                        reason,
                        at: now,
                        counted: false,
                    });
                }
                None => {}
            }
        }
        self.tell_to_end(uuid, agent.clone());
    }

    /// An agent has an earlier life of a container that was forgotten since the last one.
    pub(crate) fn end_forgotten(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        let request = GetRequest {
            labels: record.labels.clone(),
            extra: record.extra.clone(),
            ..GetRequest::default()
        };
        let by_uuid = record.huly.as_ref().is_none_or(|ext| ext.by_uuid);
        let state = State::Live {
            agent: agent.clone(),
        };
        self.add_entry(uuid, &record.kind.as_str().into(), &request, by_uuid, state);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.named = true;
        }
        self.end_earlier(agent, uuid, epoch_of(record));
    }

    /// An agent was told to end that life of a container, and will not be heard of that: it may have it
    /// when it registers, and end it only then. What was told is not taken back.
    pub(crate) fn told_to_end(&mut self, uuid: &Id, life: Option<Epoch>) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.ends(life);
        if let Some(begun) = entry.begun.filter(|_| life.is_some()) {
            self.past.note(uuid.clone(), begun);
        }
    }

    /// Whether it is known of a container that was forgotten which lives of it are over.
    pub(crate) fn is_remembered(&self, uuid: &Id) -> bool {
        self.past.get(uuid).is_some()
    }

    /// An agent has an earlier life of a container, of which a later one was lost: with its state of
    /// before it is not to go on. The uuid is free again when it has ended.
    pub(crate) fn end_earlier(&mut self, agent: &Id, uuid: &Id, life: Option<Epoch>) {
        self.waiting.remove(uuid);
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.epoch = life;
        let kind = entry.kind.clone();
        self.attach(agent, uuid, &kind);
        self.tell_to_end(uuid, agent.clone());
    }

    /// What is ended at an agent is an earlier life of a container that lives elsewhere.
    pub(crate) fn leave_behind(&mut self, agent: &Id, uuid: &Id) {
        // It may not have heard yet that it is to end.
        self.fence(uuid, self.now.mono);
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.stop_is_late = false;
        let kind = entry.kind.clone();
        if let State::Stopping { call, .. } = entry.state {
            self.take_call(call);
        }
        self.detach(agent, uuid, &kind);
    }
}

/// How many containers a registration, or a chunk of one, tells of.
pub(crate) fn records(part: &AgentRegistration) -> usize {
    let stopping = part.huly.as_ref().map_or(0, |ext| ext.stopping.len());
    part.containers.len() + stopping
}

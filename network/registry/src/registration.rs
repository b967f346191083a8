//! Registration of agents: what they say they have, against what is known (W17, epochs).

use std::collections::{BTreeMap, BTreeSet};

use huly_protocol::{
    AgentRegistration, ContainerRecord, Epoch, ErrorCode, ErrorPayload, EventKind, GetRequest,
    NetworkEvent, method,
};

use crate::agents::Agent;
use crate::calls::CallKind;
use crate::chunks::Chunks;
use crate::entry::{Entry, State, epoch_of};
use crate::registry::{Id, Registry};
use crate::requests::{Outcome, now};
use crate::standby::{Claim, stands_by};

/// The longest uuid, kind or agent id, in bytes.
pub(crate) const MAX_TEXT: usize = 1_024;

impl Registry {
    /// A registration, or a part of one, of so many bytes.
    pub(crate) fn register(
        &mut self,
        client: &Id,
        part: AgentRegistration,
        bytes: usize,
    ) -> Outcome {
        if part.uuid.is_empty() || part.uuid.len() > MAX_TEXT {
            let message = format!("an agent's uuid has 1 to {MAX_TEXT} bytes");
            return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
        }
        let agent = Id::from(part.uuid.as_str());
        let Some(whole) = self.assemble(client, &agent, part, bytes)? else {
            return now::<[String]>(&[]);
        };
        let Chunks {
            registration,
            came,
            left,
            ..
        } = whole;
        self.refuse_namesake(client, &agent)?;
        let known = self.note_agent(client, &agent, &registration);
        if !known {
            let (kinds, has) = (registration.kinds.len(), registration.containers.len());
            self.note(format!(
                "agent {agent} registered: {kinds} kinds, {has} containers"
            ));
        }
        let mut end = Vec::new();
        let mut standbys = BTreeSet::new();
        let mut seen = came.clone();
        let mut taken_up = Vec::new();
        for record in &registration.containers {
            if record.uuid.is_empty() || record.uuid.len() > MAX_TEXT {
                self.bad_message("bad_record");
                continue;
            }
            let uuid = Id::from(record.uuid.as_str());
            seen.insert(uuid.clone());
            if left.contains(&uuid) || (stands_by(record) && came.contains(&uuid)) {
                continue;
            }
            let entry = self.entries.get(&uuid);
            let known_here = entry.and_then(Entry::agent) == Some(&agent);
            match self.claim(&agent, &uuid, record) {
                Claim::Stays if known_here => {}
                Claim::Stays => {
                    let leased = record.huly.as_ref().is_some_and(|ext| ext.leased);
                    taken_up.push((uuid, leased));
                }
                Claim::StandsBy => {
                    standbys.insert(uuid);
                }
                Claim::Ends => end.push(record.uuid.clone()),
            }
        }
        self.keep_standbys(&agent, &standbys);
        let ext = registration.huly.unwrap_or_default();
        self.claim_all_stopping(&agent, &ext.stopping, &left, &mut seen);
        let had = self
            .agents
            .get(&agent)
            .map(|agent| agent.containers.clone());
        for uuid in had.unwrap_or_default().difference(&seen) {
            if self.entries.get(uuid).is_some_and(|entry| entry.is_live()) {
                self.fail_calls(&agent, Some(uuid));
                self.lose(uuid, &agent, "ContainerEnded", self.now.mono);
            }
        }
        self.publish_agent(
            &agent,
            if known {
                EventKind::Updated
            } else {
                EventKind::Added
            },
        );
        self.exchange_specs(&agent, ext.specs);
        // Only now it is known which kinds are exclusive.
        for (uuid, leased) in taken_up {
            self.mind_former_lives(&uuid, leased);
        }
        self.confirm_all(&agent);
        Ok(Some(serde_json::to_vec(&end).unwrap_or_default()))
    }

    /// What follows the answer to a registration.
    pub(crate) fn after_registration(&mut self) {
        self.retry_early_gets();
        self.place_waiting();
    }

    /// Two agents with one id would take each other's containers in turn: the first one keeps it
    /// for as long as it shows signs of life.
    fn refuse_namesake(&self, client: &Id, agent: &Id) -> Result<(), ErrorPayload> {
        let owner = self.agents.get(agent).map(|known| &known.client);
        // A TypeScript agent is not refused: it would not say why, nor try again.
        let owner = owner.filter(|owner| *owner != client && self.is_rust(client));
        if !owner.is_some_and(|owner| self.shows_life(owner)) {
            return Ok(());
        }
        let message = format!("another agent has the id {agent}: give each an id of its own");
        Err(ErrorPayload::new(ErrorCode::NotAllowed, message))
    }

    /// Notes what an agent says of itself; returns whether it was known.
    fn note_agent(&mut self, client: &Id, id: &Id, said: &AgentRegistration) -> bool {
        self.taken_over(id, client);
        let rust = said.huly.is_some();
        let mut ext = said.huly.clone().unwrap_or_default();
        ext.specs.clear();
        ext.stopping.clear();
        let kinds = said
            .kinds
            .iter()
            .map(|kind| Id::from(kind.as_str()))
            .collect();
        let draining = ext.draining;
        if let Some(session) = self.sessions.get_mut(client) {
            session.agents.insert(id.clone());
        }
        if let Some(agent) = self.agents.get_mut(id) {
            let before = std::mem::replace(&mut agent.client, client.clone());
            agent.rust = rust;
            agent.kinds = kinds;
            agent.endpoint.clone_from(&said.endpoint);
            agent.ext = ext;
            agent.suspected = false;
            agent.draining = draining;
            if before != *client {
                if let Some(session) = self.sessions.get_mut(&before) {
                    session.agents.remove(id);
                }
                if self.is_rust(&before) {
                    self.start_anew(id);
                }
                self.move_calls(id, client);
            }
            return true;
        }
        self.agent_seq += 1;
        let agent = Agent {
            id: id.clone(),
            client: client.clone(),
            rust,
            seq: self.agent_seq,
            kinds,
            endpoint: said.endpoint.clone(),
            ext,
            containers: BTreeSet::new(),
            by_kind: Default::default(),
            standbys: BTreeMap::new(),
            suspected: false,
            draining,
            told: None,
        };
        self.agents.insert(id.clone(), agent);
        false
    }

    /// An agent says that it has a container.
    fn claim(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) -> Claim {
        if stands_by(record) {
            return self.standby_registered(agent, uuid, record);
        }
        let said = epoch_of(record);
        let Some(entry) = self.entries.get(uuid) else {
            match said.is_some() && said < self.past.get(uuid).copied() {
                true => self.end_forgotten(agent, uuid, record),
                false => self.found(agent, uuid, record),
            }
            return Claim::Stays;
        };
        match &entry.state {
            State::Expected | State::Waiting if entry.is_past(said) => {
                self.inherit_holders(uuid, record);
                self.end_earlier(agent, uuid, said);
                Claim::Stays
            }
            // Waiting: its agent was given up and is here again before a new one was found.
            State::Expected | State::Waiting => {
                self.is_back(agent, uuid, record);
                Claim::Stays
            }
            State::Starting { agent: on, .. } if on == agent => {
                // The answer to the start may have been lost with a connection.
                if said.is_some() && said == entry.epoch {
                    self.is_back(agent, uuid, record);
                }
                Claim::Stays
            }
            State::Live { agent: on } if on == agent => {
                self.is_back(agent, uuid, record);
                Claim::Stays
            }
            State::Stopping { agent: on, .. } if on == agent => Claim::Stays,
            State::Starting { agent: on, .. } | State::Live { agent: on } => {
                let wins = said.is_some() && said > entry.epoch;
                if wins && !self.keeps_to(entry, on, said) {
                    let loser = on.clone();
                    self.end_copy(&loser, uuid);
                    self.is_back(agent, uuid, record);
                    return Claim::Stays;
                }
                self.refused_claim(agent, uuid, record)
            }
            // What ends there is an earlier life of it.
            State::Stopping { agent: on, .. } if said > entry.epoch && !entry.is_past(said) => {
                let on = on.clone();
                self.leave_behind(&on, uuid);
                self.is_back(agent, uuid, record);
                Claim::Stays
            }
            State::Stopping { .. } => self.refused_claim(agent, uuid, record),
        }
    }

    /// Whether a container stays what it is though another server has placed it later: one that was
    /// cut off takes everything beyond the cut for lost, and its copies come once that is over.
    /// What has served meanwhile goes on, unless it was known to be an earlier life from the first.
    fn keeps_to(&self, entry: &Entry, on: &Id, said: Option<Epoch>) -> bool {
        let others = said.is_some_and(|said| said.term < self.term);
        let serves = self.agents.get(on).is_some_and(|agent| !agent.suspected);
        let latest = entry.epoch.is_some() && entry.known_epoch <= entry.epoch;
        self.settled && others && serves && entry.is_live() && latest
    }

    /// A container that nobody had told of.
    fn found(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        self.take_up(agent, uuid, record);
        self.publish_found(uuid);
        self.release_held(uuid);
        self.mind_idle(uuid);
    }

    /// Takes up a container that this server did not know to live there.
    pub(crate) fn take_up(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        if !self.entries.contains_key(uuid) {
            let kind = Id::from(record.kind.as_str());
            let state = State::Live {
                agent: agent.clone(),
            };
            self.add_entry(uuid, &kind, &GetRequest::default(), true, state);
        }
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.lived_before = true;
        entry.adopt(record, agent);
        let kind = entry.kind.clone();
        self.waiting.remove(uuid);
        self.note_stateless(agent, uuid, record);
        self.attach(agent, uuid, &kind);
        self.restore_holders(uuid, record);
    }

    /// A container that somebody wants, or that was there before, and that this agent has.
    fn is_back(&mut self, agent: &Id, uuid: &Id, record: &ContainerRecord) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let was_live = entry.is_live();
        let call = match entry.state {
            State::Starting { call, .. } => Some(call),
            _ => None,
        };
        entry.lived_before |= !was_live && call.is_none();
        let news = self.settled || entry.state != State::Expected;
        entry.lost = None;
        if !was_live {
            entry.live_since = Some(self.now.mono);
        }
        let changed = entry.adopt(record, agent);
        let kind = entry.kind.clone();
        if let Some(call) = call {
            self.take_call(call);
        }
        self.waiting.remove(uuid);
        self.note_stateless(agent, uuid, record);
        self.attach(agent, uuid, &kind);
        self.restore_holders(uuid, record);
        if changed || !was_live {
            self.now_live(uuid, news);
        } else {
            // Its agent may have been suspected.
            self.answer_waiters(uuid);
            self.release_held(uuid);
            self.mind_idle(uuid);
        }
    }

    /// The copy of a container that lost against a higher epoch is ended.
    fn end_copy(&mut self, loser: &Id, uuid: &Id) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let (kind, epoch) = (entry.kind.clone(), entry.epoch);
        self.fence(uuid, self.now.mono);
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        if let State::Starting { call, .. } = entry.state {
            self.take_call(call);
        }
        self.fail_calls(loser, Some(uuid));
        self.detach(loser, uuid, &kind);
        if self.steps_back(loser, uuid, &kind) {
            return;
        }
        self.told_to_end(uuid, epoch);
        let params = serde_json::to_string(&[&**uuid]).unwrap_or_default();
        let ext = self.epoch_ext(loser, epoch);
        self.call(loser, method::TERMINATE, &params, ext, CallKind::Other);
    }

    /// An agent reports what became of its containers (`cu`).
    pub(crate) fn container_update(&mut self, client: &Id, event: &NetworkEvent) -> Outcome {
        for change in &event.containers {
            let record = &change.container;
            let agent = Id::from(record.agent_id.as_str());
            self.served_by(client, &agent)?;
            let uuid = Id::from(record.uuid.as_str());
            if stands_by(record) {
                if change.event == EventKind::Removed {
                    self.forget_standby(&agent, &uuid);
                }
                continue;
            }
            let Some(entry) = self.entries.get_mut(&uuid) else {
                continue;
            };
            let (said, on_it) = (epoch_of(record), entry.agent() == Some(&agent));
            let same = said.is_none() || said == entry.epoch;
            // The answer that it had started was lost with a connection, and may yet come again.
            let had_started = said.is_some() && matches!(entry.state, State::Starting { .. });
            let has_lived = entry.is_live() || had_started;
            match change.event {
                EventKind::Removed if on_it && same && has_lived => {
                    let reason = self.leaves_because(&agent, "ContainerEnded");
                    // A Rust agent has answered what ran, and says of the rest that it did not.
                    if !self.agents.get(&agent).is_some_and(|agent| agent.rust) {
                        self.fail_calls(&agent, Some(&uuid));
                    }
                    self.lose(&uuid, &agent, reason, self.now.mono);
                }
                EventKind::Updated if on_it && same && entry.is_live() => {
                    self.is_back(&agent, &uuid, record);
                }
                _ => {}
            }
        }
        now("ok")
    }
}

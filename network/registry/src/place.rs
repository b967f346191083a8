//! Placement: a container goes to an agent, and starts there.

use std::time::Duration;

use huly_protocol::{
    Epoch, ErrorCode, ErrorPayload, EventKind, GotContainer, KindSpec, NO_SUITABLE_AGENT,
    Rejection, method,
};

use crate::calls::CallKind;
use crate::entry::State;
use crate::registration::MAX_TEXT;
use crate::registry::{Id, Registry};
use crate::stats::Counted;
use crate::timer::Timer;

/// A container that ends by itself earlier than this may do so again at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How long a container waits whose life was short again; doubled each time, up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(125);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How much longer than a kind's own time-out the server waits for an agent's word.
const CALL_MARGIN: Duration = Duration::from_secs(2);

impl Registry {
    /// The specification by which a container is placed: the kind's, or, of a kind that has none
    /// any more, the one that the container was placed with.
    pub(crate) fn spec_of(&self, uuid: &Id) -> Option<&KindSpec> {
        let entry = self.entries.get(uuid)?;
        self.kinds
            .get(&entry.kind)
            .map(|known| &known.spec)
            .or(entry.spec.as_ref())
    }

    /// Places a container that waits, or tells those who wait that it cannot be placed now.
    pub(crate) fn place(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        if entry.state != State::Waiting {
            return;
        }
        if let Some(at) = entry.not_before.filter(|at| *at > self.now.mono) {
            return self.timers.set(at, Timer::Place(uuid.clone()));
        }
        let (kind, anywhere) = (entry.kind.clone(), entry.on.is_none());
        if self.is_fenced(uuid) {
            // It need not be once it is known what kind it is of.
            self.waiting.insert(uuid.clone());
            return;
        }
        match self.pick_for(uuid, &kind) {
            Ok((seq, agent)) => {
                // Where it had to go says nothing of where the next one goes.
                if anywhere {
                    self.cursors.insert(kind, seq);
                    self.last_pick = seq;
                }
                self.start(uuid, &agent);
            }
            Err(rejections) if !anywhere => {
                let error = self.not_placeable(&kind, rejections);
                self.place_anywhere(uuid, &error);
            }
            Err(rejections) => {
                self.waiting.insert(uuid.clone());
                // What it waits for now is an agent, not its next try.
                if let Some(entry) = self.entries.get_mut(uuid) {
                    entry.attempts = 0;
                }
                self.publish_unreplaced(uuid);
                self.tell_believers(uuid);
                let error = self.not_placeable(&kind, rejections);
                self.fail_waiters(uuid, &error);
            }
        }
    }

    /// A container cannot start where the get said that made it. That one fails; for all others it
    /// goes anywhere.
    fn place_anywhere(&mut self, uuid: &Id, error: &ErrorPayload) {
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.on = None;
        }
        self.fail_those(uuid, error, |waiter| waiter.says_where);
        self.place(uuid);
    }

    /// Nothing replaces a container for now. A standby may have it, and registers when it sees
    /// this (W26).
    fn publish_unreplaced(&mut self, uuid: &Id) {
        if self.entries.get(uuid).is_some_and(|entry| entry.announced) {
            self.publish_container(uuid, EventKind::Removed);
        }
    }

    fn not_placeable(&self, kind: &Id, rejections: Vec<Rejection>) -> ErrorPayload {
        let all: u32 = rejections.iter().map(|rejection| rejection.agents).sum();
        let why: Vec<String> = rejections
            .iter()
            .map(|rejection| format!("{} {}", rejection.agents, rejection.reason))
            .collect();
        let why = if why.is_empty() {
            "no agent is there".to_owned()
        } else {
            why.join(", ")
        };
        let served = self.agents.values().any(|agent| agent.kinds.contains(kind));
        let code = match served || self.kinds.contains_key(kind) {
            true => ErrorCode::NoSuitableAgent,
            false => ErrorCode::NoSuchKind,
        };
        let message = format!("{NO_SUITABLE_AGENT} {kind}: 0/{all} agents: {why}");
        ErrorPayload::new(code, message).with_rejections(rejections)
    }

    fn start(&mut self, uuid: &Id, agent: &Id) {
        self.waiting.remove(uuid);
        self.epochs += 1;
        let epoch = Epoch {
            term: self.term,
            n: self.epochs,
        };
        let spec = self.spec_of(uuid).cloned();
        // What was in reserve is to have the uuid.
        let stateless = self.take_standby(agent, uuid);
        let timeout = spec.as_ref().map_or(
            KindSpec::DEFAULT_START_TIMEOUT_MS,
            KindSpec::start_timeout_ms,
        );
        self.count_failover(uuid, agent);
        let rust = self.agents.get(agent).is_some_and(|agent| agent.rust);
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.epoch = Some(epoch);
        entry.on = None;
        entry.stateless = stateless;
        entry.not_before = None;
        entry.alone = true;
        entry.spec = spec;
        entry.told_holders = entry.durable_holders();
        let mut request = entry.request.clone();
        // A TypeScript agent chooses the uuid itself, as it does with its own server.
        request.uuid = (entry.named || rust).then(|| uuid.to_string());
        let params = serde_json::to_string(&(&*entry.kind, &request)).unwrap_or_default();
        let ext = rust.then(|| serde_json::to_string(&entry.start_ext()).unwrap_or_default());
        let kind = entry.kind.clone();
        let call = self.call(
            agent,
            method::GET,
            &params,
            ext,
            CallKind::Start { uuid: uuid.clone() },
        );
        let Some(call) = call else { return };
        let until = self.now.mono + Duration::from_millis(timeout) + CALL_MARGIN;
        self.call_until(call, until);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.state = State::Starting {
                agent: agent.clone(),
                call,
            };
        }
        self.attach(agent, uuid, &kind);
    }

    /// An agent answered a start.
    pub(crate) fn started(
        &mut self,
        agent: &Id,
        uuid: &Id,
        answer: Result<GotContainer, ErrorPayload>,
    ) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        if !matches!(&entry.state, State::Starting { agent: on, .. } if on == agent) {
            return;
        }
        match answer {
            Ok(got) if got.uuid == **uuid => self.has_started(agent, uuid, got.endpoint),
            Ok(got) if !entry.named && (1..=MAX_TEXT).contains(&got.uuid.len()) => {
                self.started_as(agent, uuid, got);
            }
            Ok(got) => {
                let message = format!(
                    "agent {agent} was asked for {uuid} and answered with {}",
                    got.uuid
                );
                self.start_failed(agent, uuid, &ErrorPayload::new(ErrorCode::Failed, message));
            }
            Err(error) if self.leaves(agent, &error) => self.start_elsewhere(agent, uuid),
            Err(error) => self.start_failed(agent, uuid, &error),
        }
    }

    /// Whether an agent has started nothing because it leaves: it takes nothing new, or has ended
    /// what it was starting.
    fn leaves(&self, agent: &Id, error: &ErrorPayload) -> bool {
        let leaves = self.agents.get(agent).is_some_and(|a| a.rust && a.draining);
        let code = error.code;
        leaves && matches!(code, Some(ErrorCode::Busy | ErrorCode::Interrupted))
    }

    /// Who waits for the container goes on waiting: an agent that leaves is not asked again.
    fn start_elsewhere(&mut self, agent: &Id, uuid: &Id) {
        Counted::add(&mut self.counted.starts, "failed");
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.state = State::Waiting;
        let kind = entry.kind.clone();
        self.detach(agent, uuid, &kind);
        self.place(uuid);
    }

    fn has_started(&mut self, agent: &Id, uuid: &Id, endpoint: String) {
        self.note_came(agent, uuid);
        Counted::add(&mut self.counted.starts, "ok");
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.endpoint = endpoint;
        entry.state = State::Live {
            agent: agent.clone(),
        };
        entry.attempts = 0;
        entry.on = None;
        entry.named = true;
        entry.begins();
        entry.live_since = Some(self.now.mono);
        self.now_live(uuid, true);
    }

    /// A TypeScript agent that chose the uuid: the container is known by it from now on.
    fn started_as(&mut self, agent: &Id, asked: &Id, got: GotContainer) {
        let uuid = Id::from(got.uuid.as_str());
        let Some(kind) = self.entries.get(asked).map(|entry| entry.kind.clone()) else {
            return;
        };
        self.detach(agent, asked, &kind);
        let Some(mut entry) = self.take_entry(asked) else {
            return;
        };
        for client in entry.holders.keys() {
            let mut session = self.sessions.get_mut(client);
            if let Some(session) = &mut session
                && let Some(known) = session.asked.shift_remove(asked)
            {
                session.asked.insert(uuid.clone(), known);
            }
            let refs = session.map(|session| &mut session.refs);
            for held in refs.into_iter().chain(self.durable.get_mut(client)) {
                if held.swap_remove(asked) {
                    held.insert(uuid.clone());
                }
            }
        }
        for waiter in &entry.waiters {
            if let Some(session) = self.sessions.get_mut(&waiter.client)
                && let Some(flight) = session.in_flight.get_mut(&waiter.request)
            {
                flight.waits_for = Some(uuid.clone());
            }
        }
        if let Some(known) = self.entries.get_mut(&uuid) {
            // It was there already: the agent found it, as with its own server.
            for (client, durable) in entry.holders {
                *known.holders.entry(client).or_insert(false) |= durable;
            }
            known.waiters.append(&mut entry.waiters);
            known.held.append(&mut entry.held);
            let until = known.held.iter().map(|call| call.until).min();
            if let Some(until) = until {
                self.timers.set(until, Timer::Hold(uuid.clone()));
            }
            known.idle_since = None;
            match known.state {
                State::Live { .. } => {
                    self.answer_waiters(&uuid);
                    self.release_held(&uuid);
                }
                State::Expected | State::Waiting => {
                    let kind = known.kind.clone();
                    self.waiting.remove(&uuid);
                    self.count_failover(&uuid, agent);
                    self.attach(agent, &uuid, &kind);
                    self.has_started(agent, &uuid, got.endpoint);
                }
                State::Stopping { .. } if known.stop_is_late => self.stop_is_late(&uuid),
                State::Starting { .. } | State::Stopping { .. } => {}
            }
            return;
        }
        entry.uuid = uuid.clone();
        self.index_entry(entry);
        self.attach(agent, &uuid, &kind);
        self.has_started(agent, &uuid, got.endpoint);
    }

    /// What an agent was to start that another process has the id of now: the one before may have begun
    /// with that life, so it is to be another one. It is placed once that process is registered.
    pub(crate) fn start_anew(&mut self, agent: &Id) {
        let known = self.agents.get(agent).map(|agent| &agent.containers);
        for uuid in known.cloned().unwrap_or_default() {
            let Some(entry) = self.entries.get_mut(&uuid) else {
                continue;
            };
            let State::Starting { call, .. } = entry.state else {
                continue;
            };
            entry.begins();
            entry.state = State::Waiting;
            entry.attempts = 0;
            let (kind, wanted) = (entry.kind.clone(), entry.wanted());
            self.take_call(call);
            self.detach(agent, &uuid, &kind);
            match wanted || self.is_ready(&uuid) {
                true => drop(self.waiting.insert(uuid)),
                false => self.remove_entry(&uuid, None),
            }
        }
    }

    pub(crate) fn start_failed(&mut self, agent: &Id, uuid: &Id, error: &ErrorPayload) {
        Counted::add(&mut self.counted.starts, "failed");
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.state = State::Waiting;
        entry.attempts += 1;
        let kind = entry.kind.clone();
        let delay = Duration::from_millis(250 << entry.attempts.min(5));
        self.detach(agent, uuid, &kind);
        self.fail_waiters(uuid, error);
        if self.entries.contains_key(uuid) {
            self.waiting.insert(uuid.clone());
            self.timers
                .set(self.now.mono + delay, Timer::Place(uuid.clone()));
            self.tell_believers(uuid);
        }
    }

    /// Places a container anew that has ended by itself; not at once when it keeps doing so.
    pub(crate) fn place_after_end(&mut self, uuid: &Id) {
        let now = self.now.mono;
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let lived = entry
            .live_since
            .take()
            .map(|since| now.saturating_sub(since));
        if lived.is_none_or(|lived| lived >= SHORT_LIFE) {
            entry.short_lives = 0;
            return self.place(uuid);
        }
        let before = entry.short_lives;
        entry.short_lives = before.saturating_add(1);
        if before == 0 {
            return self.place(uuid);
        }
        let delay = FIRST_DELAY * (1 << before.min(8));
        let at = now + delay.min(LONGEST_DELAY);
        entry.not_before = Some(at);
        self.waiting.insert(uuid.clone());
        self.timers.set(at, Timer::Place(uuid.clone()));
        self.publish_unreplaced(uuid);
    }

    /// The time for another try has come.
    pub(crate) fn place_again(&mut self, uuid: &Id) {
        let wanted = self.entries.get(uuid).is_some_and(|entry| entry.wanted());
        if wanted || self.is_ready(uuid) {
            self.place(uuid);
        }
    }

    /// Something changed that may let waiting containers be placed. Those whose start failed wait
    /// for their own time.
    pub(crate) fn place_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for uuid in self.waiting.clone() {
            let ready = self
                .entries
                .get(&uuid)
                .is_some_and(|entry| entry.attempts == 0);
            if ready {
                self.place(&uuid);
            }
        }
    }
}

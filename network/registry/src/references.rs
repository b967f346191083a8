//! References: who holds a container, and what happens when nobody does.

use std::time::Duration;

use huly_protocol::{
    ContainerRecord, ErrorCode, ErrorPayload, EventKind, Holders, KindSpec, method,
};

use crate::calls::CallKind;
use crate::entry::State;
use crate::registry::{Id, Registry};
use crate::session::Session;
use crate::stats::Counted;
use crate::timer::Timer;

/// How much longer than a kind's termination grace the server waits for an agent's word.
const STOP_MARGIN: Duration = Duration::from_secs(5);
/// After which an agent is told again to end a container that it could not end.
const STOP_AGAIN: Duration = Duration::from_secs(1);
/// How often a container is looked at again that may not be ended yet.
const POSTPONED: Duration = Duration::from_secs(1);

impl Registry {
    /// Gives a client a reference; returns whether it had one.
    pub(crate) fn hold(&mut self, client: &Id, uuid: &Id, durable: bool) -> bool {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return false;
        };
        let before = entry.holders.get(client).copied();
        entry
            .holders
            .insert(client.clone(), durable || before == Some(true));
        entry.idle_since = None;
        if let Some(session) = self.sessions.get_mut(client) {
            session.refs.insert(uuid.clone());
        }
        if durable {
            self.durable
                .entry(client.clone())
                .or_default()
                .insert(uuid.clone());
            self.tell_holders(uuid);
        }
        before.is_some()
    }

    /// A client releases its reference (`cr`), unless that is done already: what a Rust client sends
    /// again may be older than a get that waits or was answered since.
    pub(crate) fn release_once(
        &mut self,
        client: &Id,
        request: &str,
        uuid: &Id,
    ) -> Result<(), ErrorPayload> {
        let rust = |session: &&mut Session| session.is_rust();
        let session = self.sessions.get_mut(client).filter(rust);
        if session.is_some_and(|session| session.done.get(request).is_some()) {
            return Ok(());
        }
        self.release(client, uuid)?;
        if let Some(session) = self.sessions.get_mut(client).filter(rust) {
            session.done.note(request.to_owned(), uuid.clone());
        }
        Ok(())
    }

    /// A durable reference needs control: client ids are no secret.
    fn release(&mut self, client: &Id, uuid: &Id) -> Result<(), ErrorPayload> {
        let held = self
            .entries
            .get(uuid)
            .and_then(|entry| entry.holders.get(client));
        if held == Some(&true) {
            self.need_control(client, "the release of a durable reference")?;
        }
        if let Some(named) = self.named.get_mut(client) {
            named.remove(uuid);
        }
        if let Some(session) = self.sessions.get_mut(client) {
            session.let_go(uuid);
        }
        self.drop_reference(client, uuid, true);
        Ok(())
    }

    /// Takes a reference away; a durable one only if that is meant.
    pub(crate) fn drop_reference(&mut self, client: &Id, uuid: &Id, durable_too: bool) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        match entry.holders.get(client) {
            None => return,
            Some(true) if !durable_too => return,
            Some(durable) => {
                let durable = *durable;
                entry.holders.shift_remove(client);
                entry.believers.remove(client);
                if let Some(session) = self.sessions.get_mut(client) {
                    session.let_go(uuid);
                }
                if durable {
                    if let Some(held) = self.durable.get_mut(client) {
                        held.swap_remove(uuid);
                        if held.is_empty() {
                            self.durable.remove(client);
                        }
                    }
                    self.tell_holders(uuid);
                }
            }
        }
        self.mind_idle(uuid);
    }

    /// Writes the durable holders into the container's record at its agent, where they changed.
    pub(crate) fn tell_holders(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let State::Live { agent } = &entry.state else {
            return;
        };
        let agent = agent.clone();
        if !self.agents.get(&agent).is_some_and(|agent| agent.rust) {
            return;
        }
        let holders = entry.durable_holders();
        if holders == entry.told_holders {
            return;
        }
        entry.told_holders.clone_from(&holders);
        let told = Holders {
            uuid: uuid.to_string(),
            holders,
            last_failover: entry.last_failover.clone(),
        };
        let params = serde_json::to_string(&[told]).unwrap_or_default();
        self.call(&agent, method::SET_HOLDERS, &params, None, CallKind::Other);
    }

    /// Durable holders that came back with the container's record.
    pub(crate) fn restore_holders(&mut self, uuid: &Id, record: &ContainerRecord) {
        let Some(ext) = &record.huly else { return };
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.told_holders.clone_from(&ext.holders);
        let word = !entry.lived_before || self.synced;
        self.take_holders(uuid, &ext.holders, word);
        if word {
            self.tell_holders(uuid);
        }
    }

    /// Durable holders of a life that is over, as the uuid is another's: they hold that one. A server
    /// that has just started may have placed it before it heard of them.
    pub(crate) fn inherit_holders(&mut self, uuid: &Id, record: &ContainerRecord) {
        let Some(ext) = &record.huly else { return };
        let of_before = ext.epoch.is_some_and(|epoch| epoch.term < self.term);
        self.take_holders(uuid, &ext.holders, self.synced || !of_before);
        self.tell_holders(uuid);
    }

    /// Durable holders, as a record has them. Where this server's own word holds, as who released or
    /// synced meanwhile is known to it, only those who named the uuid in their last sync.
    fn take_holders(&mut self, uuid: &Id, holders: &[String], word: bool) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        for holder in holders {
            let client = Id::from(holder.as_str());
            let named = self.named.get(&client);
            if word && !named.is_some_and(|named| named.contains(uuid)) {
                continue;
            }
            entry.held_all_along(&client);
            entry.holders.insert(client.clone(), true);
            if let Some(session) = self.sessions.get_mut(&client) {
                session.refs.insert(uuid.clone());
            }
            self.durable.entry(client).or_default().insert(uuid.clone());
        }
    }

    /// Looks after a container that may have nobody any more.
    pub(crate) fn mind_idle(&mut self, uuid: &Id) {
        let now = self.now.mono.saturating_sub(self.paused);
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        if entry.wanted() {
            entry.idle_since = None;
            return;
        }
        match &entry.state {
            State::Live { .. } => {
                entry.idle_since.get_or_insert(now);
                self.watch_idle(uuid);
            }
            State::Waiting | State::Expected => {
                if !self.is_ready(uuid) {
                    self.remove_entry(uuid, None);
                }
            }
            // Its agent answers first.
            State::Starting { .. } | State::Stopping { .. } => {}
        }
    }

    /// When a container without references is to be ended.
    fn idle_due(&self, uuid: &Id) -> Option<Duration> {
        let entry = self.entries.get(uuid)?;
        let since = entry.idle_since?;
        let idle = self
            .spec_of(uuid)
            .map_or(KindSpec::DEFAULT_IDLE_TIMEOUT_MS, KindSpec::idle_timeout_ms);
        let due = since + Duration::from_millis(idle);
        // Whoever holds it may not have said so to this server yet.
        let due = match entry.lived_before {
            true => due.max(self.started + self.config.orphan_grace),
            false => due,
        };
        Some(due + self.paused)
    }

    /// Sets the container's idle timer.
    fn watch_idle(&mut self, uuid: &Id) {
        if let Some(due) = self.idle_due(uuid) {
            self.timers.set(due, Timer::Idle(uuid.clone()));
        }
    }

    pub(crate) fn check_idle(&mut self, uuid: &Id) {
        let Some(due) = self.idle_due(uuid) else {
            return;
        };
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        if !entry.is_live() || entry.wanted() {
            return;
        }
        if due > self.read_until {
            return self.watch_idle(uuid);
        }
        let agent = entry.agent().and_then(|agent| self.agents.get(agent));
        // Nobody asked for a stateless container to be made (W19).
        if self.is_stateless(uuid) || agent.is_some_and(|agent| !agent.kinds.contains(&entry.kind))
        {
            return;
        }
        let plain = agent.is_some_and(|agent| !agent.rust);
        // A TypeScript agent does not remember durable holders: the operator speaks first.
        if plain && entry.lived_before && self.config.control_secret.is_some() && !self.synced {
            let later = self.now.mono + POSTPONED;
            return self.timers.set(later, Timer::Idle(uuid.clone()));
        }
        self.terminate(uuid);
    }

    /// Ends a container that nobody holds.
    fn terminate(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let State::Live { agent } = &entry.state else {
            return;
        };
        let agent = agent.clone();
        Counted::add(&mut self.counted.ends, "Idle");
        self.publish_container(uuid, EventKind::Removed);
        self.tell_to_end(uuid, agent);
    }

    /// Tells an agent to end a container.
    pub(crate) fn tell_to_end(&mut self, uuid: &Id, agent: Id) {
        let grace = self.spec_of(uuid).map_or(
            KindSpec::DEFAULT_TERMINATION_GRACE_MS,
            KindSpec::termination_grace_ms,
        );
        let epoch = self.entries.get(uuid).and_then(|entry| entry.epoch);
        let params = serde_json::to_string(&[&**uuid]).unwrap_or_default();
        let ext = self.epoch_ext(&agent, epoch);
        let kind = CallKind::Terminate { uuid: uuid.clone() };
        let Some(call) = self.call(&agent, method::TERMINATE, &params, ext, kind) else {
            return;
        };
        let until = self.now.mono + Duration::from_millis(grace) + STOP_MARGIN;
        self.call_until(call, until);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.state = State::Stopping { agent, call };
            entry.idle_since = None;
        }
    }

    /// An agent could not end a container: it is told so again.
    pub(crate) fn stop_failed(&mut self, uuid: &Id) {
        self.stop_is_late(uuid);
        let later = self.now.mono + STOP_AGAIN;
        self.timers.set(later, Timer::Stop(uuid.clone()));
    }

    pub(crate) fn stop_again(&mut self, uuid: &Id) {
        let state = self.entries.get(uuid).map(|entry| &entry.state);
        let Some(State::Stopping { agent, call }) = state else {
            return;
        };
        if !self.calls.contains_key(call) {
            let agent = agent.clone();
            self.tell_to_end(uuid, agent);
        }
    }

    /// An agent has not ended a container in time. Its uuid is not placed anew before it has, or is
    /// gone: who asks is told so.
    pub(crate) fn stop_is_late(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let State::Stopping { agent, .. } = &entry.state else {
            return;
        };
        entry.stop_is_late = true;
        let error = still_stopping(uuid, agent);
        self.note(error.message.clone());
        self.fail_waiters(uuid, &error);
    }

    /// An agent has ended a container. Whoever asked for it meanwhile gets a new one.
    pub(crate) fn stopped(&mut self, agent: &Id, uuid: &Id) {
        let settling = self.settling();
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        if !matches!(&entry.state, State::Stopping { agent: on, .. } if on == agent) {
            return;
        }
        // A later life of it may be about to be registered: who wants it waits for that.
        let settles = entry.lived_before && settling;
        entry.state = match settles {
            true => State::Expected,
            false => State::Waiting,
        };
        entry.lived_before = false;
        entry.stop_is_late = false;
        let kind = entry.kind.clone();
        let wanted = entry.wanted() || self.is_ready(uuid);
        self.fail_calls(agent, Some(uuid));
        self.detach(agent, uuid, &kind);
        match wanted {
            true if settles => {}
            true => self.place(uuid),
            false => self.remove_entry(uuid, None),
        }
    }
}

pub(crate) fn still_stopping(uuid: &Id, agent: &Id) -> ErrorPayload {
    let message = format!("still stopping on {agent}: container {uuid}; ask again later");
    ErrorPayload::new(ErrorCode::Busy, message)
}

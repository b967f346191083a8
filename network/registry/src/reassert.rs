//! References asserted again by clients, after this server or their session began anew.

use std::time::Duration;

use huly_protocol::{EventKind, HeldEvent, ReassertedGet};

use crate::entry::{Lost, State};
use crate::get::{bytes_of, check_name};
use crate::registry::{Id, Registry};
use crate::requests::{Outcome, now};

impl Registry {
    /// Gives a Rust client its references again after a new session (`xr`).
    pub(crate) fn reassert(&mut self, client: &Id, gets: Vec<ReassertedGet>) -> Outcome {
        let control = self.need_control(client, "a durable reference").is_ok();
        self.has_room(self.unknown_bytes(&gets))?;
        let rust = self.is_rust(client);
        let mut answers = Vec::with_capacity(gets.len());
        let mut place = Vec::new();
        let mut believed = Vec::new();
        for get in gets {
            if check_name("uuid", &get.uuid)
                .and(check_name("kind", &get.kind))
                .is_err()
            {
                answers.push(None);
                continue;
            }
            let uuid = Id::from(get.uuid.as_str());
            if !self.entries.contains_key(&uuid) {
                let kind = Id::from(get.kind.as_str());
                let by_uuid = get.request.uuid.is_some();
                let state = if self.settling() {
                    State::Expected
                } else {
                    State::Waiting
                };
                self.add_entry(&uuid, &kind, &get.request, by_uuid, state);
                self.remember_former_life(&uuid, &get);
                if !self.settling() {
                    place.push(uuid.clone());
                }
            }
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.fresh &= get.epoch.is_none();
                entry.held_all_along(client);
            }
            let settling = self.settling();
            if let Some(entry) = self.entries.get_mut(&uuid).filter(|_| settling) {
                entry.known_epoch = entry.known_epoch.max(get.epoch);
            }
            self.hold(client, &uuid, get.durable && control);
            let believes = rust && get.agent_id.is_some();
            let entry = self.entries.get_mut(&uuid);
            if let Some(entry) = entry.filter(|entry| believes && !entry.is_live()) {
                entry.believers.insert(client.clone());
                believed.push(uuid.clone());
            }
            answers.push(
                self.entries
                    .get(&uuid)
                    .filter(|entry| entry.is_live())
                    .map(|entry| {
                        let agent = entry.agent().and_then(|agent| self.agents.get(agent));
                        entry.got(agent, rust)
                    }),
            );
        }
        for uuid in place {
            self.place(&uuid);
        }
        for uuid in believed {
            self.tell_believers(&uuid);
        }
        now(&answers)
    }

    /// What those take in memory that are not known. Where there is no room the client asserts them
    /// again later: agents register meanwhile.
    fn unknown_bytes(&self, gets: &[ReassertedGet]) -> usize {
        let unknown = |get: &&ReassertedGet| !self.entries.contains_key(get.uuid.as_str());
        let unknown = gets.iter().filter(unknown);
        unknown.map(|get| bytes_of(&get.kind, &get.request)).sum()
    }

    /// A container that a client knew and no agent has registered: once it is placed, that is a
    /// failover.
    fn remember_former_life(&mut self, uuid: &Id, get: &ReassertedGet) {
        let at: Duration = self.now.mono;
        let from = get.agent_id.as_deref().map(Id::from);
        // An agent that is here and does not have it has ended it.
        let reason = match from.is_some_and(|from| self.agents.contains_key(&from)) {
            true => "ContainerEnded",
            false => "AgentSilent",
        };
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.failovers = get.failovers;
        entry.epoch = get.epoch;
        entry.lived_before = true;
        entry.named = true;
        entry.lost = get.agent_id.clone().map(|from| Lost {
            from,
            reason,
            at,
            counted: false,
        });
    }

    /// Tells those who believe a container somewhere that it has no place for now: what they were told
    /// of that may be lost with their sessions. Of one that waits for a lease they are told by then.
    pub(crate) fn tell_believers(&mut self, uuid: &Id) {
        let entry = self.entries.get(uuid);
        let some = entry
            .is_some_and(|one| matches!(one.state, State::Waiting) && !one.believers.is_empty());
        if !some || self.is_fenced(uuid) {
            return;
        }
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        for client in std::mem::take(&mut entry.believers) {
            if entry.holders.contains_key(&client) {
                let told = HeldEvent {
                    uuid: uuid.to_string(),
                    event: EventKind::Removed,
                    endpoint: None,
                    placement: None,
                };
                self.feed.note_held(&client, uuid, told);
            }
        }
    }
}

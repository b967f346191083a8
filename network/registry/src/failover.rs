//! What happens when a container has no agent any more, and when it has one again.

use std::time::Duration;

use huly_protocol::{EventKind, Failover};

use crate::entry::{Entry, Lost, State};
use crate::registry::{Id, Registry};
use crate::session::millis;
use crate::stats::Counted;
use crate::timer::Timer;

impl Registry {
    /// A container's agent does not have it any more. One that is wanted is placed again.
    pub(crate) fn lose(&mut self, uuid: &Id, from: &Id, reason: &'static str, since: Duration) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        if entry.agent() != Some(from) {
            return;
        }
        let (kind, life) = (entry.kind.clone(), entry.epoch);
        let state = std::mem::replace(&mut entry.state, State::Waiting);
        if matches!(state, State::Live { .. }) {
            let at = since;
            entry.lost.get_or_insert_with(|| Lost {
                from: from.to_string(),
                reason,
                at,
                counted: false,
            });
        }
        let was_live = matches!(state, State::Live { .. });
        let started = matches!(state, State::Starting { .. });
        if started {
            // Whether it has nobody says any more.
            entry.begins();
        }
        // One that is there says itself what has ended.
        entry.astray |= started || !self.agents.contains_key(from);
        let wanted = entry.wanted() || self.is_ready(uuid);
        if matches!(state, State::Stopping { .. }) {
            self.told_to_end(uuid, life);
        }
        if let State::Starting { call, .. } | State::Stopping { call, .. } = state {
            self.take_call(call);
        }
        self.detach(from, uuid, &kind);
        if was_live {
            self.announce_free(uuid);
        }
        if !wanted {
            self.remove_entry(uuid, was_live.then_some(reason));
        } else if reason == "ContainerEnded" {
            self.place_after_end(uuid);
        } else {
            self.place(uuid);
        }
    }

    /// A container that had lost its agent is told to start on another.
    pub(crate) fn count_failover(&mut self, uuid: &Id, to: &Id) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let Some(lost) = &mut entry.lost else { return };
        if !std::mem::replace(&mut lost.counted, true) {
            entry.failovers = entry.failovers.saturating_add(1);
            Counted::add(&mut self.counted.failovers, lost.reason);
        }
        entry.last_failover = Some(Failover {
            from: lost.from.clone(),
            to: to.to_string(),
            reason: lost.reason.to_owned(),
            time_ms: now.wall_ms,
            duration_ms: millis(now.mono.saturating_sub(lost.at)),
        });
    }

    /// A container lives: everybody who waited goes on. TypeScript clients are told only what is
    /// news.
    pub(crate) fn now_live(&mut self, uuid: &Id, news: bool) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        self.unplaced_bytes -= std::mem::take(&mut entry.counted_bytes);
        entry.believers.clear();
        let event = match entry.lost.take() {
            Some(lost) => {
                let took = now.mono.saturating_sub(lost.at);
                self.counted.failover_time += took;
                if let Some(failover) = &mut entry.last_failover {
                    failover.duration_ms = millis(took);
                    failover.time_ms = now.wall_ms;
                }
                // The agent's record gets the figures with the holders.
                entry.told_holders = vec![String::new()];
                EventKind::Updated
            }
            None if entry.lived_before || entry.announced => EventKind::Updated,
            None => EventKind::Added,
        };
        match news {
            true => self.publish_container(uuid, event),
            false => self.publish_quietly(uuid, event),
        }
        self.answer_waiters(uuid);
        self.release_held(uuid);
        self.tell_holders(uuid);
        self.mind_idle(uuid);
    }

    /// Takes an entry out of the registry's indexes.
    pub(crate) fn take_entry(&mut self, uuid: &Id) -> Option<Entry> {
        let mut entry = self.entries.swap_remove(uuid)?;
        for timer in [Timer::Idle, Timer::Stop, Timer::Place, Timer::Hold] {
            self.timers.unset(&timer(uuid.clone()));
        }
        // Another life may accept requests still: whoever gets the uuid again is to wait for that.
        if !self.fences.contains_key(uuid) {
            self.timers.unset(&Timer::Fence(uuid.clone()));
        }
        self.unplaced_bytes -= std::mem::take(&mut entry.counted_bytes);
        self.waiting.remove(uuid);
        if let Some(of_kind) = self.by_kind.get_mut(&entry.kind) {
            of_kind.remove(&entry.seq);
            if of_kind.is_empty() {
                self.by_kind.remove(&entry.kind);
            }
        }
        Some(entry)
    }

    /// Forgets a container that nobody wants; with a reason, one that lived.
    pub(crate) fn remove_entry(&mut self, uuid: &Id, ended: Option<&'static str>) {
        if let Some(reason) = ended {
            Counted::add(&mut self.counted.ends, reason);
        }
        if self.entries.get(uuid).is_some_and(|entry| entry.announced) {
            self.publish_container(uuid, EventKind::Removed);
        }
        self.fail_held(uuid);
        let entry = self.take_entry(uuid);
        let lived_elsewhere = |entry: &Entry| entry.failovers > 0 || entry.astray;
        if let Some(entry) = entry.filter(|one| lived_elsewhere(one) || self.is_remembered(uuid))
            && let Some(begun) = entry.begun
        {
            self.past.note(uuid.clone(), begun);
        }
    }

    /// The time in which agents may register containers that are not known may be over.
    pub(crate) fn check_settled(&mut self) {
        if self.read_until < self.settles_at {
            return self.timers.set(self.settles_at, Timer::Settled);
        }
        self.settled = true;
        self.publish_settled();
        let expected: Vec<Id> = self
            .entries
            .values()
            .filter(|entry| entry.state == State::Expected)
            .map(|entry| entry.uuid.clone())
            .collect();
        for uuid in expected {
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.state = State::Waiting;
            }
            self.place(&uuid);
            self.tell_believers(&uuid);
        }
        self.fail_early_calls();
        self.retry_early_gets();
    }
}

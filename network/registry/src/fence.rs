//! Exclusive kinds: a container of one is placed elsewhere, or let go on where it is, only when no
//! other life of its uuid can accept requests any more.
//!
//! An agent accepts requests for such a container while its lease lasts: from its sending of the last
//! ping that was answered. This server counts from the receipt of the last message, so its count ends
//! later. What it has told an agent to end is bounded in the same way: the agent reads that before any
//! later pong. Of leases that another server gave only their longest length is known.

use std::time::Duration;

use huly_protocol::{Confirmed, Epoch, Frame, Op, lease, method};

use crate::agents::Agent;
use crate::calls::CallKind;
use crate::entry::Entry;
use crate::registry::{Id, Registry};
use crate::timer::Timer;

/// Containers that an agent is told of in one call.
const CONFIRMED_AT_ONCE: usize = 1_000;

/// Another life of a uuid may accept requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    /// Which one; none where that is not known.
    epoch: Option<Epoch>,
    /// No longer than that.
    until: Duration,
}

impl Registry {
    /// Whether a container's kind is exclusive: by the kind's specification, or by the one that the
    /// container was placed with.
    fn is_exclusive(&self, entry: &Entry) -> bool {
        let known = self.kinds.get(&entry.kind);
        known.is_some_and(|known| known.spec.exclusive)
            || entry.spec.as_ref().is_some_and(|spec| spec.exclusive)
    }

    /// Whether it may be, for all that this server knows: who could have made the kind exclusive has
    /// not spoken, nor an agent that was told. A kind without a specification is not exclusive, which
    /// only an operator says that has set all that there are.
    fn may_be_exclusive(&self, entry: &Entry) -> bool {
        let told = self.kinds_told || self.config.control_secret.is_none();
        let known = told || entry.spec.is_some() || self.kinds.contains_key(&entry.kind);
        self.is_exclusive(entry) || !(known || entry.fresh)
    }

    /// The agent of a container may have its lease still, as it was heard of then: no other life of
    /// it is to accept requests before that is over.
    pub(crate) fn fence(&mut self, uuid: &Id, heard: Duration) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let leased = entry.agent().and_then(|agent| self.agents.get(agent));
        if leased.is_some_and(|agent| !agent.rust) || !self.is_exclusive(entry) {
            // A TypeScript agent knows no lease.
            return;
        }
        let fence = Fence {
            epoch: entry.epoch,
            until: heard + lease::surely_over(self.config.lease),
        };
        self.set_fence(uuid, fence);
    }

    fn set_fence(&mut self, uuid: &Id, mut fence: Fence) {
        if fence.until <= self.now.mono {
            return;
        }
        if let Some(before) = self.fences.get(uuid) {
            let same = before.epoch == fence.epoch;
            fence.epoch = fence.epoch.filter(|_| same);
            fence.until = fence.until.max(before.until);
        }
        self.fences.insert(uuid.clone(), fence);
        self.timers.set(fence.until, Timer::Fence(uuid.clone()));
    }

    /// The containers of an agent that is gone, or served by another process from now on.
    pub(crate) fn fence_all(&mut self, agent: &Agent, heard: Duration) {
        if agent.rust {
            for uuid in &agent.containers {
                self.fence(uuid, heard);
            }
        }
    }

    /// An agent registers over another client: another process has its id now. The one before may
    /// have its lease still, but gets no other: its session is not the same any more.
    pub(crate) fn taken_over(&mut self, agent: &Id, by: &Id) {
        let Some(known) = self.agents.get(agent).filter(|known| known.client != *by) else {
            return;
        };
        let (before, containers) = (known.client.clone(), known.containers.clone());
        if !self.is_rust(&before) {
            return;
        }
        let fresh = self.make_uuid();
        let Some(session) = self.sessions.get_mut(&before) else {
            return;
        };
        session.uuid = fresh;
        let heard = session.last_heard;
        let instance = self.config.instance.clone();
        self.send_to_client(&before, Frame::new(Op::AskHello, instance, ""));
        for uuid in containers {
            self.fence(&uuid, heard);
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.astray = true;
            }
        }
    }

    /// Until when leases may last that another server gave.
    fn former_leases_end(&self) -> Duration {
        self.started + lease::surely_over(self.config.former_lease)
    }

    /// An agent has a container that this server did not know to live there. Where the lease for it
    /// has not lasted, the server before may have placed it elsewhere.
    pub(crate) fn mind_former_lives(&mut self, uuid: &Id, leased: bool) {
        let until = self.former_leases_end();
        let known = |entry: &Entry| {
            let fence = self.fences.get(uuid);
            fence.is_some_and(|fence| fence.epoch.is_some() && fence.epoch == entry.epoch)
        };
        let entry = self.entries.get(uuid);
        if !leased && entry.is_some_and(|entry| self.is_exclusive(entry) && !known(entry)) {
            self.set_fence(uuid, Fence { epoch: None, until });
        }
    }

    /// Whether a container is not to be placed yet; it is when that is over.
    pub(crate) fn is_fenced(&mut self, uuid: &Id) -> bool {
        let Some(entry) = self.entries.get(uuid) else {
            return false;
        };
        let fence = self.fences.get(uuid).map(|fence| fence.until);
        // One whose uuid this server has made has never lived.
        let may_live = (entry.by_uuid || entry.lived_before) && !entry.alone;
        let may_live = may_live && self.may_be_exclusive(entry);
        let former = may_live.then(|| self.former_leases_end());
        let Some(until) = fence.max(former) else {
            return false;
        };
        let timer = Timer::Fence(uuid.clone());
        // Past that time, too: its agent may be back, and what says so may wait to be read.
        if self.timers.is_set(&timer) {
            return true;
        }
        let lasts = until > self.now.mono;
        if lasts {
            self.timers.set(until, timer);
        }
        lasts
    }

    /// Whether no other life of a container can accept requests any more, and its agent has not come
    /// back meanwhile.
    pub(crate) fn is_over(&self, fence: &Fence) -> bool {
        fence.until <= self.read_until
    }

    /// In so much time agents could not come back.
    pub(crate) fn prolong_fences(&mut self, by: Duration) {
        for fence in self.fences.values_mut() {
            fence.until += by;
        }
    }

    /// A time has come at which nothing else may hold a container up.
    pub(crate) fn check_fence(&mut self, uuid: &Id) {
        let fence = self.fences.get(uuid);
        if let Some(fence) = fence.filter(|fence| !self.is_over(fence)) {
            // It was prolonged.
            return self.timers.set(fence.until, Timer::Fence(uuid.clone()));
        }
        self.fences.remove(uuid);
        self.place_again(uuid);
        self.tell_believers(uuid);
        let agent = self.entries.get(uuid).and_then(Entry::agent).cloned();
        if let Some(agent) = agent {
            self.confirm(&agent, [uuid.clone()].into());
        }
    }

    /// Tells an agent which containers of exclusive kinds are its own, in a session that is new to
    /// it or now that no other life of them can accept requests.
    pub(crate) fn confirm(&mut self, agent: &Id, uuids: Vec<Id>) {
        if !self.agents.get(agent).is_some_and(|agent| agent.rust) {
            return;
        }
        let mut confirmed = Vec::new();
        for uuid in uuids {
            let Some(entry) = self.entries.get(&uuid) else {
                continue;
            };
            let here = entry.is_live() && entry.agent() == Some(agent);
            if !here || !self.is_exclusive(entry) {
                continue;
            }
            let epoch = entry.epoch;
            match self.fences.get(&uuid) {
                Some(fence) if fence.epoch.is_none() || fence.epoch != epoch => continue,
                // It was given up, and is here again before anything else was.
                Some(_) => drop(self.fences.remove(&uuid)),
                None => {}
            }
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.alone = true;
            }
            let uuid = uuid.to_string();
            confirmed.push(Confirmed { uuid, epoch });
        }
        for some in confirmed.chunks(CONFIRMED_AT_ONCE) {
            let params = serde_json::to_string(some).unwrap_or_default();
            self.call(agent, method::CONFIRM, &params, None, CallKind::Other);
        }
    }

    /// The same of all that it has.
    pub(crate) fn confirm_all(&mut self, agent: &Id) {
        let known = self.agents.get(agent).map(|agent| &agent.containers);
        let exclusive = |uuid: &&Id| {
            let entry = self.entries.get(*uuid);
            entry.is_some_and(|entry| self.is_exclusive(entry))
        };
        let uuids = known.into_iter().flatten().filter(exclusive);
        self.confirm(agent, uuids.cloned().collect());
    }
}

//! The network as its server tells of it: the session, agents, containers.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{AgentFeedEvent, AgentInfo, ContainerEvent, EventKind, FeedEvent};

use super::claims::QUIET;
use super::references::Want;
use super::{Core, FeedUpdate, SessionFacts, Timer};
use crate::fact::Fact;

/// A server that is away for less than this changes no status.
pub(super) const NETWORK_GRACE: Duration = Duration::from_secs(5);

/// The server is away for so short a time that nothing is to be said yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct TooEarly;

/// Where the session stands.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) facts: SessionFacts,
    /// Since when it is usable or not.
    pub(super) usable_since: Duration,
}

impl Session {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            facts: SessionFacts {
                generation: 0,
                usable: Err("the network server was not reached yet".to_owned()),
            },
            usable_since: now,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.facts.usable.is_ok()
    }
}

/// Where the feed stands.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Which snapshot it is: what an earlier one said may not hold any more.
    pub(super) round: u64,
    /// Whether the snapshot is all there.
    pub(super) complete: bool,
    /// Whether the server has heard from everybody that it may expect after its start.
    pub(super) settled: bool,
    incoming: BTreeMap<String, AgentInfo>,
}

impl Core {
    pub(super) fn session_changed(&mut self, facts: SessionFacts) {
        let was_usable = self.session.is_usable();
        let fresh = facts.generation != self.session.facts.generation;
        self.session.facts = facts;
        if fresh {
            self.control.fresh_session();
            for reference in self.references.values_mut() {
                reference.held = false;
            }
        }
        if was_usable != self.session.is_usable() {
            self.session.usable_since = self.now.mono;
            let due = self.now.mono + NETWORK_GRACE;
            self.look_again(due, Timer::Network);
        }
        self.touch_all();
    }

    /// What to say while the server is away; nothing when it is there.
    pub(super) fn unreachable(&self) -> Result<Option<String>, TooEarly> {
        let Err(message) = &self.session.facts.usable else {
            return Ok(None);
        };
        let due = self.session.usable_since + NETWORK_GRACE;
        match due > self.now.mono {
            // The network's timer looks again.
            true => Err(TooEarly),
            false => Ok(Some(message.clone())),
        }
    }

    pub(super) fn feed_update(&mut self, update: FeedUpdate) {
        match update {
            FeedUpdate::Reset => {
                self.feed = Feed {
                    round: self.feed.round + 1,
                    ..Feed::default()
                };
            }
            FeedUpdate::Snapshot(event) => {
                let last = event.snapshot.is_some_and(|snapshot| snapshot.last);
                let settled = event.settled;
                for AgentFeedEvent { event, agent } in event.agents {
                    let id = agent.agent_id.clone();
                    match event {
                        EventKind::Added | EventKind::Updated => {
                            self.feed.incoming.insert(id, agent);
                        }
                        // What happens while chunks come is told among them.
                        EventKind::Removed => {
                            self.feed.incoming.remove(&id);
                            self.agent_is_gone(&id);
                        }
                    }
                }
                // Agents come before containers.
                for event in event.containers {
                    let agent = self.feed.incoming.get(&event.container.agent_id).cloned();
                    self.container_event(event, agent.as_ref());
                }
                if last {
                    self.agents = std::mem::take(&mut self.feed.incoming);
                    self.feed.complete = true;
                    self.feed.settled = settled;
                    self.touch_all();
                }
            }
            FeedUpdate::Event(event) => self.feed_event(event),
        }
    }

    fn feed_event(&mut self, event: FeedEvent) {
        for AgentFeedEvent { event, agent } in event.agents {
            match event {
                EventKind::Added | EventKind::Updated => self.agent_is_there(agent),
                EventKind::Removed => self.agent_is_gone(&agent.agent_id),
            }
        }
        for event in event.containers {
            let agent = self.agents.get(&event.container.agent_id).cloned();
            self.container_event(event, agent.as_ref());
        }
        if event.settled && !self.feed.settled {
            self.feed.settled = true;
            self.touch_all();
        }
    }

    fn agent_is_there(&mut self, agent: AgentInfo) {
        for kind in &agent.kinds {
            self.wake_unplaced(kind, usize::MAX);
        }
        let mut touched = Vec::new();
        for (uuid, reference) in &mut self.references {
            if let Some(fact) = &mut reference.fact
                && fact.agent == agent.agent_id
                && fact.node.is_none()
            {
                fact.hosted_by(&agent);
                touched.push(uuid.clone());
            }
        }
        for uuid in touched {
            self.touch_reference(&uuid);
        }
        self.agents.insert(agent.agent_id.clone(), agent);
        self.dirty.kind_statuses.extend(self.kinds.keys().cloned());
    }

    fn agent_is_gone(&mut self, id: &str) {
        self.agents.remove(id);
        let hosted = |fact: &Fact| fact.agent == id;
        let lost: Vec<String> = self
            .references
            .iter()
            .filter(|(_, reference)| reference.fact.as_ref().is_some_and(hosted))
            .map(|(uuid, _)| uuid.clone())
            .collect();
        for uuid in lost {
            self.container_is_lost(&uuid);
        }
        self.dirty.kind_statuses.extend(self.kinds.keys().cloned());
    }

    fn container_event(&mut self, event: ContainerEvent, agent: Option<&AgentInfo>) {
        let ContainerEvent { container, event } = event;
        if event == EventKind::Removed {
            // There may be room for one that waits.
            self.wake_unplaced(&container.kind, 1);
        }
        let Some(reference) = self.references.get_mut(&container.uuid) else {
            return;
        };
        let uuid = container.uuid.clone();
        let ours = match &reference.want {
            Want::Get(get) => get.kind == container.kind,
            Want::Keep | Want::No => true,
        };
        if !ours {
            if event == EventKind::Removed && reference.refusal.is_some() {
                reference.retry_at = None;
                self.enqueue(&uuid);
            }
            return;
        }
        let fact = Fact::of_record(&container, agent);
        let older = |known: &Fact| fact.is_before(known);
        if reference.fact.as_ref().is_some_and(older) {
            return;
        }
        if event == EventKind::Removed {
            return self.container_is_lost(&uuid);
        }
        reference.lives(fact, self.feed.round);
        if reference.want == Want::Keep {
            // By its kind it is known who else may share it.
            self.dirty.uuids.insert(uuid.clone());
        }
        if reference.held {
            self.set_refusal(&uuid, None);
        } else {
            reference.retry_at = None;
        }
        self.touch_reference(&uuid);
    }

    /// A container is not where it was; the network places it again if it can.
    fn container_is_lost(&mut self, uuid: &str) {
        let now = self.now.mono;
        let Some(reference) = self.references.get_mut(uuid) else {
            return;
        };
        if reference.lost_since.is_none() {
            reference.lost_since = Some(now);
            self.look_again(now + QUIET, Timer::Reference(uuid.to_owned()));
        }
        self.touch_reference(uuid);
    }
}

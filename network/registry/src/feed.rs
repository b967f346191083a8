//! Events: to those who hold a container, to subscribers of the feed, to TypeScript clients.

use std::time::Duration;

use huly_protocol::{
    AgentEvent, AgentFeedEvent, ContainerEvent, EventKind, FeedEvent, Frame, HeldEvent, Op,
    PeerEvent,
};
use indexmap::IndexMap;
use serde::Serialize;

use crate::agents::Agent;
use crate::registry::{Id, Registry};
use crate::snapshot::Untold;
use crate::timer::Timer;

/// Events that are not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    revision: u64,
    /// The clients that have subscribed, and what they are still to be told of what there was then.
    pub(crate) watchers: IndexMap<Id, Option<Untold>>,
    /// What happened in the present step.
    agents: Vec<AgentFeedEvent>,
    containers: Vec<ContainerEvent>,
    settled_now: bool,
    held: IndexMap<Id, IndexMap<Id, HeldEvent>>,
    /// What TypeScript clients are still to be told, merged.
    plain_agents: IndexMap<String, AgentEvent>,
    plain_containers: IndexMap<String, ContainerEvent>,
    /// What followed a removal that they are still to be told: in the batch after it.
    plain_later: IndexMap<String, ContainerEvent>,
    /// What a TypeScript client alone is to be told: where the containers are that it got again.
    plain_again: IndexMap<Id, IndexMap<String, ContainerEvent>>,
    last_batch: Option<Duration>,
}

/// Of two events of one thing, the one that is told (W11).
fn merged(before: EventKind, after: EventKind) -> EventKind {
    match (before, after) {
        (EventKind::Removed, _) | (_, EventKind::Removed) => EventKind::Removed,
        (EventKind::Added, _) | (_, EventKind::Added) => EventKind::Added,
        _ => EventKind::Updated,
    }
}

impl Feed {
    /// What is told in the step in which it happens.
    pub(crate) fn unsent(&self) -> usize {
        self.agents.len() + self.containers.len() + self.held.len()
    }

    /// What TypeScript clients are still to be told.
    pub(crate) fn unsent_batch(&self) -> usize {
        let containers = self.plain_containers.len() + self.plain_later.len();
        self.plain_agents.len() + containers + self.plain_again.len()
    }

    /// Whether TypeScript clients are still to be told that of a container.
    pub(crate) fn is_to_be(&self, event: EventKind, uuid: &Id) -> bool {
        let told = [&self.plain_containers, &self.plain_later];
        let mut told = told.iter().filter_map(|events| events.get(&**uuid));
        told.any(|told| told.event == event)
    }

    /// What a client of ours is to be told of a container that it holds; it takes the place of what it
    /// was to be told before.
    pub(crate) fn note_held(&mut self, client: &Id, uuid: &Id, told: HeldEvent) {
        let own = self.held.entry(client.clone()).or_default();
        own.insert(uuid.clone(), told);
    }

    fn note_plain(&mut self, told: ContainerEvent) {
        let uuid = told.container.uuid.clone();
        let before = self.plain_containers.get(&uuid).map(|known| known.event);
        let removed = told.event == EventKind::Removed;
        if removed {
            for own in self.plain_again.values_mut() {
                own.shift_remove(&uuid);
            }
        }
        let (events, before) = if before == Some(EventKind::Removed) && !removed {
            let before = self.plain_later.get(&uuid).map(|known| known.event);
            (&mut self.plain_later, before)
        } else {
            self.plain_later.shift_remove(&uuid);
            (&mut self.plain_containers, before)
        };
        let event = before.map_or(told.event, |before| merged(before, told.event));
        events.insert(uuid, ContainerEvent { event, ..told });
    }
}

impl Registry {
    pub(crate) fn publish_agent(&mut self, id: &Id, event: EventKind) {
        if let Some(agent) = self.agents.get(id) {
            let (feed, plain) = both(agent, event);
            self.note_agent_event(feed, plain);
        }
    }

    pub(crate) fn publish_removed_agent(&mut self, agent: &Agent) {
        let (feed, plain) = both(agent, EventKind::Removed);
        self.note_agent_event(feed, plain);
    }

    fn note_agent_event(&mut self, feed: AgentFeedEvent, plain: AgentEvent) {
        if !self.feed.watchers.is_empty() {
            self.feed.agents.push(feed);
        }
        // An agent that registers again after its removal is new to a TypeScript client, which
        // asks again for what it did not get as soon as it sees one added.
        let known = self
            .feed
            .plain_agents
            .get(&plain.id)
            .map(|known| known.event);
        let event = match known {
            Some(EventKind::Removed) | None => plain.event,
            Some(before) => merged(before, plain.event),
        };
        self.feed
            .plain_agents
            .insert(plain.id.clone(), AgentEvent { event, ..plain });
    }

    /// Tells of a container: to the feed, to TypeScript clients, and, where it moved, to holders.
    pub(crate) fn publish_container(&mut self, uuid: &Id, event: EventKind) {
        self.publish_quietly(uuid, event);
        self.publish_plain(uuid, event);
    }

    /// The same to TypeScript clients alone.
    pub(crate) fn publish_plain(&mut self, uuid: &Id, event: EventKind) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let container = entry.record(false);
        // Of one that moves before it was told of, all are told `added`; its holders need more.
        if event == EventKind::Updated && self.feed.is_to_be(EventKind::Added, uuid) {
            let holders = entry.holders.keys();
            let plain = holders.filter(|client| !self.is_rust(client));
            for client in plain.cloned().collect::<Vec<Id>>() {
                self.publish_again(&client, uuid);
            }
        }
        self.feed.note_plain(ContainerEvent { container, event });
    }

    /// The same without TypeScript clients.
    pub(crate) fn publish_quietly(&mut self, uuid: &Id, event: EventKind) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.announced = event != EventKind::Removed;
        if !self.feed.watchers.is_empty() {
            self.feed.containers.push(ContainerEvent {
                container: entry.record(true),
                event,
            });
        }
        let agent = entry.agent().and_then(|agent| self.agents.get(agent));
        let gone = event == EventKind::Removed;
        let told = HeldEvent {
            uuid: uuid.to_string(),
            event: if gone { event } else { EventKind::Updated },
            endpoint: (!gone).then(|| entry.endpoint.clone()),
            placement: (!gone).then(|| entry.placement(agent)),
        };
        for client in entry.holders.keys() {
            // Of a new one, who waits for it is told by the answer. Who held it before may wait no
            // more: of a get that its client has given up, the answer says nothing.
            let mut waiters = entry.waiters.iter();
            let waits = waiters.any(|waiter| waiter.client == *client && !waiter.held_before);
            if event == EventKind::Added && waits {
                continue;
            }
            self.feed.note_held(client, uuid, told.clone());
        }
    }

    /// A container that an agent registered and nobody had told of: while settling it is no news
    /// to TypeScript clients.
    pub(crate) fn publish_found(&mut self, uuid: &Id) {
        if self.settling() && !self.feed.plain_containers.contains_key(&**uuid) {
            self.publish_quietly(uuid, EventKind::Added);
        } else {
            self.publish_container(uuid, EventKind::Added);
        }
    }

    /// Tells a TypeScript client where a container is that it may have held before: it takes that
    /// from `updated` alone (W25), and the one that was sent may be lost, or was sent to nobody.
    pub(crate) fn publish_again(&mut self, client: &Id, uuid: &Id) {
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let told = ContainerEvent {
            container: entry.record(false),
            event: EventKind::Updated,
        };
        let own = self.feed.plain_again.entry(client.clone()).or_default();
        own.insert(uuid.to_string(), told);
    }

    pub(crate) fn publish_settled(&mut self) {
        self.feed.settled_now = true;
    }

    /// Sends what happened in this step to those who are told at once.
    pub(crate) fn flush_feed(&mut self) {
        for (client, events) in std::mem::take(&mut self.feed.held) {
            if self.is_rust(&client) {
                self.send_event(&client, &PeerEvent::Held(events.into_values().collect()));
            }
        }
        self.flush_watched();
        let feed = &self.feed;
        if feed.plain_agents.is_empty()
            && feed.plain_containers.is_empty()
            && feed.plain_again.is_empty()
        {
            return;
        }
        let due = feed.last_batch.map(|last| last + self.config.event_batch);
        match due.filter(|due| *due > self.now.mono) {
            Some(due) => self.timers.set(due, Timer::Events),
            None => self.send_batch(),
        }
    }

    fn flush_watched(&mut self) {
        let feed = &mut self.feed;
        if feed.watchers.is_empty() {
            // Who subscribes is told how all is then.
            feed.agents.clear();
            feed.containers.clear();
            feed.settled_now = false;
            return;
        }
        if feed.agents.is_empty() && feed.containers.is_empty() && !feed.settled_now {
            return;
        }
        feed.revision += 1;
        feed.settled_now = false;
        let (agents, containers) = (
            std::mem::take(&mut feed.agents),
            std::mem::take(&mut feed.containers),
        );
        let event = FeedEvent {
            agents,
            containers,
            ..self.feed_event()
        };
        let mut to_all = Vec::new();
        let mut to_one = Vec::new();
        for (client, untold) in &mut self.feed.watchers {
            match untold {
                None => to_all.push(client.clone()),
                Some(untold) => to_one.push((client.clone(), untold.part(false))),
            }
        }
        for (client, part) in to_one {
            let event = FeedEvent {
                snapshot: Some(part),
                ..event.clone()
            };
            self.send_event(&client, &PeerEvent::Feed(event));
        }
        if let Ok(payload) = serde_json::to_vec(&PeerEvent::Feed(event)) {
            let payload = bytes::Bytes::from(payload);
            for client in to_all {
                self.send_to_client(&client, Frame::new(Op::Event, "", payload.clone()));
            }
        }
    }

    /// Sends TypeScript clients what they are still to be told.
    pub(crate) fn send_batch(&mut self) {
        let agents = std::mem::take(&mut self.feed.plain_agents);
        let containers = std::mem::take(&mut self.feed.plain_containers);
        let again = std::mem::take(&mut self.feed.plain_again);
        let news = !agents.is_empty() || !containers.is_empty();
        if !news && again.is_empty() {
            return;
        }
        self.feed.last_batch = Some(self.now.mono);
        if !self.feed.plain_later.is_empty() {
            self.feed.plain_containers = std::mem::take(&mut self.feed.plain_later);
            let due = self.now.mono + self.config.event_batch;
            self.timers.set(due, Timer::Events);
        }
        let plain = self
            .sessions
            .iter()
            .filter(|(_, session)| !session.is_rust());
        let plain: Vec<Id> = plain.map(|(client, _)| client.clone()).collect();
        if plain.is_empty() {
            return;
        }
        let agents: Vec<&AgentEvent> = agents.values().collect();
        let all = news.then(|| encoded(&agents, containers.values()));
        let all = all.flatten();
        for client in plain {
            let payload = match again.get(&client) {
                Some(own) => encoded(&agents, with_own(&containers, own)),
                None => all.clone(),
            };
            if let Some(payload) = payload {
                self.send_to_client(&client, Frame::new(Op::Event, "", payload));
            }
        }
    }

    pub(crate) fn send_event(&mut self, client: &Id, event: &PeerEvent) {
        if let Ok(payload) = serde_json::to_vec(event) {
            self.send_to_client(client, Frame::new(Op::Event, "", payload));
        }
    }

    /// Where the feed is, with nothing that happened.
    pub(crate) fn feed_event(&self) -> FeedEvent {
        FeedEvent {
            instance: self.config.instance.clone(),
            revision: self.feed.revision,
            snapshot: None,
            settled: self.settled,
            agents: Vec::new(),
            containers: Vec::new(),
        }
    }
}

/// What all are told and what one client is told beside it; what happened goes first, but for
/// `added`, which says no client where its container is (W25).
fn with_own<'a>(
    all: &'a IndexMap<String, ContainerEvent>,
    own: &'a IndexMap<String, ContainerEvent>,
) -> impl Iterator<Item = &'a ContainerEvent> {
    let is_needed = |uuid: &String| {
        let known = all.get(uuid);
        known.is_none_or(|known| known.event == EventKind::Added)
    };
    let instead = move |(uuid, event)| match own.get(uuid) {
        Some(own) if is_needed(uuid) => own,
        _ => event,
    };
    let beside = own.iter().filter(|(uuid, _)| {
        let known = all.get(*uuid);
        known.is_none_or(|known| known.event == EventKind::Removed)
    });
    let told = all.iter().map(instead);
    told.chain(beside.map(|(_, event)| event))
}

/// A [`huly_protocol::NetworkEvent`] of events that are kept.
#[derive(Serialize)]
struct Told<'a> {
    agents: &'a [&'a AgentEvent],
    containers: Vec<&'a ContainerEvent>,
}

fn encoded<'a>(
    agents: &[&AgentEvent],
    containers: impl Iterator<Item = &'a ContainerEvent>,
) -> Option<bytes::Bytes> {
    let told = Told {
        agents,
        containers: containers.collect(),
    };
    serde_json::to_vec(&told).ok().map(bytes::Bytes::from)
}

fn both(agent: &Agent, event: EventKind) -> (AgentFeedEvent, AgentEvent) {
    (
        AgentFeedEvent {
            event,
            agent: agent.info(true),
        },
        AgentEvent {
            id: agent.id.to_string(),
            kinds: agent.kind_names(),
            event,
        },
    )
}

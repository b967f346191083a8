//! What the network tells of itself.

use huly_protocol::{
    AgentFeedEvent, AgentInfo, ContainerEvent, ContainerRecord, EventKind, FeedEvent, RecordExt,
    Snapshot,
};

use super::{Container, Network, endpoint, epoch};
use crate::core::FeedUpdate;

impl Network {
    pub(in crate::core::tests) fn subscribe(&mut self) {
        self.feed.clear();
        self.feed.push(FeedUpdate::Reset);
        let agents = self.agents.values().cloned();
        let live = self
            .containers
            .iter()
            .filter(|(_, one)| one.agent.is_some());
        let event = FeedEvent {
            snapshot: Some(Snapshot {
                chunk: 0,
                last: true,
            }),
            agents: agents
                .map(|agent| agent_event(EventKind::Added, agent))
                .collect(),
            containers: live
                .map(|(uuid, one)| container_event(EventKind::Added, uuid, one))
                .collect(),
            ..piece()
        };
        self.feed.push(FeedUpdate::Snapshot(event));
    }

    /// The feed begins anew, and before its last chunk an agent is gone.
    pub(in crate::core::tests) fn subscribe_and_lose(&mut self, id: &str) {
        self.subscribe();
        self.lose_agent(id);
        self.tell(vec![], vec![]);
        for (chunk, update) in (0..).zip(self.feed.split_off(1)) {
            if let FeedUpdate::Snapshot(mut event) | FeedUpdate::Event(mut event) = update {
                let last = chunk == 2;
                event.snapshot = Some(Snapshot { chunk, last });
                self.feed.push(FeedUpdate::Snapshot(event));
            }
        }
    }

    pub(super) fn tell(&mut self, agents: Vec<AgentFeedEvent>, containers: Vec<ContainerEvent>) {
        self.feed.push(FeedUpdate::Event(FeedEvent {
            agents,
            containers,
            ..piece()
        }));
    }

    pub(in crate::core::tests) fn take_feed(&mut self) -> Vec<FeedUpdate> {
        std::mem::take(&mut self.feed)
    }

    pub(in crate::core::tests) fn has_feed(&self) -> bool {
        !self.feed.is_empty()
    }
}

fn piece() -> FeedEvent {
    FeedEvent {
        instance: "server".into(),
        revision: 1,
        snapshot: None,
        settled: true,
        agents: vec![],
        containers: vec![],
    }
}

pub(super) fn agent_event(event: EventKind, agent: AgentInfo) -> AgentFeedEvent {
    AgentFeedEvent { event, agent }
}

pub(super) fn container_event(
    event: EventKind,
    uuid: &str,
    container: &Container,
) -> ContainerEvent {
    let agent = container.agent.clone().unwrap_or_default();
    ContainerEvent {
        event,
        container: ContainerRecord {
            uuid: uuid.into(),
            kind: container.kind.clone(),
            endpoint: endpoint(uuid, &agent),
            agent_id: agent,
            last_visit: 0.0,
            extra: None,
            labels: None,
            huly: Some(RecordExt {
                epoch: Some(epoch(container.epoch)),
                failovers: container.failovers,
                last_failover: container.last_failover.clone(),
                ..RecordExt::default()
            }),
        },
    }
}

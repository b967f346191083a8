//! What a subscriber of the feed is told of what there is: in chunks, the next when little waits to
//! be written to it, so that a large network fills nobody's queue. What happens meanwhile is told as
//! chunks among them.

use std::vec::IntoIter;

use huly_protocol::{
    AgentFeedEvent, ContainerEvent, ContainerRecord, EventKind, FeedEvent, PeerEvent, Snapshot,
};

use crate::registry::{Effect, Id, Registry};
use crate::requests::Outcome;

/// About the most bytes of a chunk: who is told it has that many waiting at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What a container's record takes beside its texts, in bytes.
const PER_RECORD: usize = 256;

/// What of a snapshot is not told yet.
#[derive(Debug)]
pub(crate) struct Untold {
    agents: IntoIter<Id>,
    containers: IntoIter<Id>,
    /// The next chunk's number.
    chunk: u32,
}

impl Untold {
    /// The next chunk's part of the snapshot.
    pub(crate) fn part(&mut self) -> Snapshot {
        let chunk = self.chunk;
        self.chunk += 1;
        Snapshot {
            chunk,
            last: self.agents.len() == 0 && self.containers.len() == 0,
        }
    }
}

impl Registry {
    /// A client subscribes to the feed (`xw`): the position, then the snapshot.
    pub(crate) fn watch(&mut self, client: &Id, request: &str) -> Outcome {
        // What happened before belongs to the snapshot.
        self.flush_feed();
        let position = serde_json::to_vec(&self.feed_event()).unwrap_or_default();
        self.respond(client, request, position);
        let live = self.entries.iter().filter(|(_, entry)| entry.is_live());
        let containers: Vec<Id> = live.map(|(uuid, _)| uuid.clone()).collect();
        let agents: Vec<Id> = self.agents.keys().cloned().collect();
        let untold = Untold {
            agents: agents.into_iter(),
            containers: containers.into_iter(),
            chunk: 0,
        };
        self.feed.watchers.insert(client.clone(), Some(untold));
        self.tell_snapshot(client);
        Ok(None)
    }

    /// Tells a subscriber the next chunk, if there is one: how all is now.
    pub(crate) fn tell_snapshot(&mut self, client: &Id) {
        let untold = self.feed.watchers.get_mut(client).and_then(Option::take);
        let Some(mut untold) = untold else {
            return;
        };
        let (agents, containers) = match untold.agents.len() {
            0 => (Vec::new(), self.next_containers(&mut untold)),
            _ => (self.next_agents(&mut untold), Vec::new()),
        };
        let part = untold.part();
        let event = FeedEvent {
            snapshot: Some(part),
            agents,
            containers,
            ..self.feed_event()
        };
        self.send_event(client, &PeerEvent::Feed(event));
        if part.last {
            return;
        }
        let session = self.sessions.get(client);
        if let Some(conn) = session.and_then(|session| session.conn.clone()) {
            self.out.push(Effect::AwaitRoom { conn });
        }
        self.feed.watchers.insert(client.clone(), Some(untold));
    }

    fn next_agents(&self, untold: &mut Untold) -> Vec<AgentFeedEvent> {
        let ids = untold.agents.by_ref().take(self.config.snapshot_chunk);
        // Of one that is gone by now there is nothing to tell.
        let agents = ids.filter_map(|id| self.agents.get(&id));
        let told = agents.map(|agent| AgentFeedEvent {
            event: EventKind::Added,
            agent: agent.info(true),
        });
        told.collect()
    }

    fn next_containers(&self, untold: &mut Untold) -> Vec<ContainerEvent> {
        let mut told = Vec::new();
        let mut bytes = 0;
        for uuid in untold.containers.by_ref() {
            let entry = self.entries.get(&uuid).filter(|entry| entry.is_live());
            let Some(entry) = entry else {
                continue;
            };
            let container = entry.record(true);
            bytes += weight(&container);
            told.push(ContainerEvent {
                container,
                event: EventKind::Added,
            });
            if told.len() >= self.config.snapshot_chunk || bytes >= CHUNK_BYTES {
                break;
            }
        }
        told
    }
}

/// About how many bytes a container's record takes.
fn weight(record: &ContainerRecord) -> usize {
    let labels = record.labels.iter().flatten().map(String::len);
    let extra = record.extra.as_ref().map_or(0, |extra| extra.text().len());
    PER_RECORD + record.uuid.len() + record.endpoint.len() + extra + labels.sum::<usize>()
}

//! What a subscriber of the feed is told of what there is: in chunks, the next when little waits to
//! be written to it, so that a large network fills nobody's queue. What happens meanwhile is told as
//! chunks among them.

use std::ops::Bound::{Excluded, Included, Unbounded};
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
    /// The container that was told last, by its kind and number: by these they are told in order.
    told: Option<(Id, u64)>,
    /// Those with higher numbers are told as what happens.
    newest: u64,
    /// The next chunk's number.
    chunk: u32,
}

impl Untold {
    /// The next chunk's part of the snapshot.
    pub(crate) fn part(&mut self, last: bool) -> Snapshot {
        let chunk = self.chunk;
        self.chunk += 1;
        Snapshot { chunk, last }
    }
}

impl Registry {
    /// A client subscribes to the feed (`xw`): the position, then the snapshot.
    pub(crate) fn watch(&mut self, client: &Id, request: &str) -> Outcome {
        // What happened before belongs to the snapshot.
        self.flush_feed();
        let position = serde_json::to_vec(&self.feed_event()).unwrap_or_default();
        self.respond(client, request, position);
        let agents: Vec<Id> = self.agents.keys().cloned().collect();
        let untold = Untold {
            agents: agents.into_iter(),
            told: None,
            newest: self.entry_seq,
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
        let last = untold.agents.len() == 0 && self.untold(&untold).next().is_none();
        let part = untold.part(last);
        let event = FeedEvent {
            snapshot: Some(part),
            agents,
            containers,
            ..self.feed_event()
        };
        self.send_event(client, &PeerEvent::Feed(event));
        if last {
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
        let mut last = None;
        for (kind, number, uuid) in self.untold(untold) {
            last = Some((kind, number));
            let entry = self.entries.get(uuid).filter(|entry| entry.is_live());
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
        if let Some((kind, number)) = last {
            untold.told = Some((kind.clone(), number));
        }
        told
    }

    /// The containers that are not told yet, by kind and number, those that do not live among them.
    fn untold(&self, untold: &Untold) -> impl Iterator<Item = (&Id, u64, &Id)> {
        let newest = untold.newest;
        let (of_kind, later) = match &untold.told {
            Some((kind, number)) => (
                self.by_kind.get_key_value(kind).map(|of| (of, *number)),
                Excluded(kind),
            ),
            None => (None, Unbounded),
        };
        let of_kind = of_kind.into_iter().flat_map(move |((kind, of), number)| {
            let rest = of.range((Excluded(number), Included(newest)));
            rest.map(move |(number, uuid)| (kind, *number, uuid))
        });
        let later = self.by_kind.range::<Id, _>((later, Unbounded));
        let later = later.flat_map(move |(kind, of)| {
            let all = of.range(..=newest);
            all.map(move |(number, uuid)| (kind, *number, uuid))
        });
        of_kind.chain(later)
    }
}

/// About how many bytes a container's record takes.
fn weight(record: &ContainerRecord) -> usize {
    let labels = record.labels.iter().flatten().map(String::len);
    let extra = record.extra.as_ref().map_or(0, |extra| extra.text().len());
    PER_RECORD + record.uuid.len() + record.endpoint.len() + extra + labels.sum::<usize>()
}

//! What a subscriber of the feed believes of the network.

use std::collections::BTreeMap;

use huly_protocol::{AgentInfo, ContainerRecord, EventKind, FeedEvent};
use huly_session::FeedUpdate;

/// What it was told so far, put together.
#[derive(Debug, Default)]
pub(crate) struct Belief {
    pub(crate) agents: BTreeMap<String, AgentInfo>,
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
    /// The server process and how far its feed has come, as soon as a snapshot began.
    position: Option<(String, u64)>,
    /// Whether the snapshot is whole: then all of it is what there was at its position.
    pub(crate) whole: bool,
    /// Whether the server says that it has heard from everybody.
    pub(crate) settled: bool,
    /// What was told that does not follow what was told before.
    pub(crate) gap: Option<String>,
}

impl Belief {
    pub(crate) fn take(&mut self, update: FeedUpdate) {
        match update {
            FeedUpdate::Reset => {
                let gap = self.gap.take();
                *self = Self {
                    gap,
                    ..Self::default()
                };
            }
            FeedUpdate::Snapshot(piece) => {
                let at = Some((piece.instance.clone(), piece.revision));
                let first = piece.snapshot.is_none_or(|part| part.chunk == 0);
                if self.whole || (first != self.position.is_none()) {
                    self.wrong("a chunk that belongs to no snapshot", &piece);
                }
                // What happens while chunks come is told among them.
                let before = self.position.as_ref();
                let follows = before.is_none_or(|(instance, revision)| {
                    *instance == piece.instance && *revision <= piece.revision
                });
                if !first && !follows {
                    self.wrong("a chunk of another snapshot", &piece);
                }
                self.position = at;
                self.whole = piece.snapshot.is_some_and(|part| part.last);
                self.note(piece);
            }
            FeedUpdate::Event(event) => {
                let before = event.revision.checked_sub(1);
                let follows = before.map(|before| (event.instance.clone(), before));
                if !self.whole || self.position != follows {
                    self.wrong("an event that does not follow", &event);
                }
                self.position = Some((event.instance.clone(), event.revision));
                self.note(event);
            }
        }
    }

    fn wrong(&mut self, what: &str, event: &FeedEvent) {
        let (at, before) = (event.revision, &self.position);
        let told = || {
            let before = match before {
                Some((instance, revision)) => format!("revision {revision} of {instance}"),
                None => "nothing".to_owned(),
            };
            format!("{what}: revision {at} of {} after {before}", event.instance)
        };
        self.gap.get_or_insert_with(told);
    }

    fn note(&mut self, event: FeedEvent) {
        self.settled = event.settled;
        for told in event.agents {
            let id = told.agent.agent_id.clone();
            match told.event {
                EventKind::Removed => drop(self.agents.remove(&id)),
                EventKind::Added | EventKind::Updated => drop(self.agents.insert(id, told.agent)),
            }
        }
        for told in event.containers {
            let uuid = told.container.uuid.clone();
            match told.event {
                EventKind::Removed => drop(self.containers.remove(&uuid)),
                EventKind::Added | EventKind::Updated => {
                    self.containers.insert(uuid, told.container);
                }
            }
        }
    }
}

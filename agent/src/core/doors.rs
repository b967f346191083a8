//! The ROUTERs that clients connect to: the agent's own, and those of containers that have one.

use std::collections::BTreeMap;

use huly_protocol::{Endpoint, EndpointKind};
use uuid::Uuid;

use super::Agent;
use super::session::Sessions;
use super::sizes::DoorSizes;
use super::types::{Door, Effect, Id, Run};

/// The clients of all of them.
#[derive(Debug)]
pub(super) struct Doors {
    instance: Uuid,
    agent: Sessions,
    containers: BTreeMap<Run, Sessions>,
}

impl Doors {
    pub(super) fn new(instance: Uuid) -> Self {
        Self {
            instance,
            agent: Sessions::new(instance),
            containers: BTreeMap::new(),
        }
    }

    /// Nothing of a container that has none or has ended.
    pub(super) fn get(&self, door: Door) -> Option<&Sessions> {
        match door {
            Door::Agent => Some(&self.agent),
            Door::Container(run) => self.containers.get(&run),
        }
    }

    pub(super) fn get_mut(&mut self, door: Door) -> Option<&mut Sessions> {
        match door {
            Door::Agent => Some(&mut self.agent),
            Door::Container(run) => self.containers.get_mut(&run),
        }
    }

    /// The agent's own.
    pub(super) fn agent(&mut self) -> &mut Sessions {
        &mut self.agent
    }

    pub(super) fn all(&self) -> Vec<Door> {
        let containers = self.containers.keys().copied().map(Door::Container);
        std::iter::once(Door::Agent).chain(containers).collect()
    }

    pub(super) fn sizes(&self) -> DoorSizes {
        let mut sizes = DoorSizes::default();
        let all = std::iter::once(&self.agent).chain(self.containers.values());
        all.for_each(|sessions| sessions.add_to(&mut sizes));
        sizes
    }

    /// Clients that are there, of each ROUTER.
    pub(super) fn present(&self) -> usize {
        let containers = self.containers.values().map(Sessions::present);
        self.agent.present() + containers.sum::<usize>()
    }
}

impl Agent {
    /// A container listens itself: that is where it is reached. The name of its ROUTER's process is
    /// of this life alone, so that a client notices when the port is another container's.
    pub(super) fn door_opened(&mut self, run: Run, port: u16) {
        let (host, agent_id) = (self.config.host.clone(), self.config.agent.clone());
        let Some(container) = self.container_of(run) else {
            return;
        };
        let endpoint = Endpoint {
            kind: EndpointKind::Direct,
            host,
            port,
            agent_id,
            uuid: Some(container.uuid.to_string()),
            epoch: container.epoch(),
        };
        container.endpoint = endpoint.text();
        let name = format!("container {}", run.0);
        let instance = Uuid::new_v5(&self.doors.instance, name.as_bytes());
        self.doors.containers.insert(run, Sessions::new(instance));
    }

    /// Nothing of the container runs any more: who is connected to it finds out.
    pub(super) fn close_door(&mut self, run: Run) {
        if self.doors.containers.remove(&run).is_some() {
            self.effect(Effect::CloseDoor { run });
        }
    }

    /// The container whose ROUTER it is.
    pub(super) fn behind(&self, door: Door) -> Option<&Id> {
        match door {
            Door::Agent => None,
            Door::Container(run) => self.runs.get(&run),
        }
    }
}

use super::Agent;

/// How much an agent keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Containers, wherever they are in their lives.
    pub containers: usize,
    /// Requests without an answer.
    pub calls: usize,
    /// The same, counted by the containers.
    pub calls_of_all: usize,
    /// The same of the container that has most.
    pub calls_of_one: usize,
    /// Requests that wait for their containers or for the lease.
    pub waiting: usize,
    /// The same of the container that has most.
    pub waiting_of_one: usize,
    /// Requests that are known when they come again.
    pub known: usize,
    /// Answers that are remembered, of containers that have ended too.
    pub remembered: usize,
    /// Their bytes.
    pub remembered_bytes: usize,
    /// Starts that wait for the lease.
    pub held_starts: usize,
    /// Containers of which the registration that is under way has told.
    pub reported: usize,
    /// Kinds with a specification.
    pub kinds: usize,
    /// ROUTERs, the agent's own among them.
    pub doors: usize,
    /// Clients of all of them, those that are away among them.
    pub clients: usize,
    /// Connections of theirs.
    pub connections: usize,
    /// Containers whose events clients want, each as often as one does.
    pub subscriptions: usize,
    /// The same, counted by the containers.
    pub subscribers: usize,
    /// Requests of clients of the ROUTERs without an answer.
    pub direct_in_flight: usize,
    /// Times at which something is to be looked at.
    pub deadlines: usize,
}

/// What the ROUTERs keep of their clients.
#[derive(Debug, Default)]
pub(super) struct DoorSizes {
    pub(super) doors: usize,
    pub(super) clients: usize,
    pub(super) connections: usize,
    pub(super) subscriptions: usize,
    pub(super) in_flight: usize,
}

impl Agent {
    /// How much it keeps; takes a look at each container.
    pub fn sizes(&self) -> Sizes {
        let (known, remembered) = self.answers.counts();
        let calls = self.containers.values().map(|one| one.calls.len());
        let waiting = self.containers.values().map(|one| one.waiting.len());
        let doors = self.doors.sizes();
        let connected = self.containers.values().map(|one| one.connected.len());
        Sizes {
            reported: self.reported.len(),
            kinds: self.specs.len(),
            doors: doors.doors,
            clients: doors.clients,
            connections: doors.connections,
            subscriptions: doors.subscriptions,
            subscribers: connected.sum(),
            direct_in_flight: doors.in_flight,
            containers: self.containers.len(),
            calls: self.calls.len(),
            calls_of_all: calls.clone().sum(),
            calls_of_one: calls.max().unwrap_or_default(),
            waiting: self.waiting,
            waiting_of_one: waiting.max().unwrap_or_default(),
            known,
            remembered,
            remembered_bytes: self.answers.bytes(),
            held_starts: self.held_starts.len(),
            deadlines: self.deadlines.len(),
        }
    }
}

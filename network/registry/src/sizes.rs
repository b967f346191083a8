use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;

use crate::chunks::MAX_CHUNKED;
use crate::entry::Entry;
use crate::held::MAX_HELD;
use crate::recent::Recent;
use crate::registry::{Id, Registry};
use crate::session::Session;
use crate::timer::Timer;

/// How much a registry keeps: what is bounded by the configuration and the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Client sessions.
    pub sessions: usize,
    /// Connections that have one.
    pub connections: usize,
    /// Containers, wherever they are in their lives.
    pub containers: usize,
    /// Requests and gets of clients without an answer.
    pub in_flight: usize,
    /// The same of the client that has most.
    pub in_flight_of_one: usize,
    /// Requests that one client is still to send again over its connection.
    pub again_of_one: usize,
    /// Answers to one client that are remembered.
    pub remembered_of_one: usize,
    /// References of the client that has most.
    pub references_of_one: usize,
    /// Of these, what it asked for without a uuid.
    pub asked_of_one: usize,
    /// References of all clients, the durable ones among them.
    pub references: usize,
    /// Clients that believe a container somewhere that has no place, of all containers.
    pub believers: usize,
    /// Clients with durable references, whether they have a session or not.
    pub durable_clients: usize,
    /// Their durable references.
    pub durable: usize,
    /// Containers that the last syncs named and that were not released since.
    pub named: usize,
    /// Clients of which the number of a leadership is remembered.
    pub fencing: usize,
    /// Subscribers of the feed.
    pub watchers: usize,
    /// Agents.
    pub agents: usize,
    /// Containers, as the agents are known to have, start or end them.
    pub of_agents: usize,
    /// Uuids of which agents keep a container in reserve.
    pub in_reserve: usize,
    /// Agents that keep one of the same uuid in reserve.
    pub in_reserve_of_one: usize,
    /// Kinds with a specification.
    pub kinds: usize,
    /// Kinds of which round robin knows where it is.
    pub cursors: usize,
    /// Containers, as they are listed by kind.
    pub by_kind: usize,
    /// Containers that wait for an agent.
    pub waiting: usize,
    /// Containers in begun registrations of one client.
    pub chunked_of_one: usize,
    /// Gets that wait for their containers.
    pub waiters: usize,
    /// Gets that wait for the end of settling.
    pub early_gets: usize,
    /// Requests that are held for containers.
    pub held: usize,
    /// The same for one container.
    pub held_of_one: usize,
    /// Bytes of what is held and of gets whose containers have had no agent.
    pub held_bytes: usize,
    /// Requests that are at agents.
    pub running: usize,
    /// The same for one container.
    pub running_of_one: usize,
    /// Calls to agents without an answer, requests among them.
    pub calls: usize,
    /// Times at which something is to be looked at.
    pub timers: usize,
    /// Uuids without a container of which another life may accept requests.
    pub fences_alone: usize,
    /// Uuids of which this is over, and the registry has not seen it.
    pub fences_over: usize,
    /// Containers of which requests are held that nobody got or registered.
    pub unknown: usize,
    /// Events that should have been sent in the step that they happened in, and those for TypeScript
    /// clients that no time is set for.
    pub unsent: usize,
    /// Uuids without a container of which the last life is remembered.
    pub past: usize,
}

impl Sizes {
    /// Requests that may be held for one container.
    pub const MOST_HELD: usize = MAX_HELD;
    /// Answers to one client that may be remembered.
    pub const MOST_REMEMBERED: usize = 2 * Recent::<String, ()>::MOST;
    /// Uuids of which the last life may be remembered.
    pub const MOST_PAST: usize = Recent::<Id, ()>::MOST;
    /// Containers that may be in begun registrations of one client.
    pub const MOST_CHUNKED: usize = MAX_CHUNKED;

    fn add_session(&mut self, session: &Session) {
        let most = |size: &mut usize, one: usize| *size = one.max(*size);
        self.in_flight += session.in_flight.len();
        most(&mut self.in_flight_of_one, session.in_flight.len());
        most(&mut self.again_of_one, session.again.len());
        let remembered = session.done.len() + session.answered.len();
        most(&mut self.remembered_of_one, remembered);
        most(&mut self.references_of_one, session.refs.len());
        most(&mut self.asked_of_one, session.asked.len());
        self.references += session.refs.len();
        most(&mut self.chunked_of_one, session.chunked);
    }

    fn add_entry(&mut self, entry: &Entry) {
        self.waiters += entry.waiters.len();
        self.believers += entry.believers.len();
        self.held += entry.held.len();
        self.held_of_one = self.held_of_one.max(entry.held.len());
        self.running += entry.carried_by.len();
        self.running_of_one = self.running_of_one.max(entry.carried_by.len());
    }
}

impl Registry {
    /// How much it keeps; takes a look at each session and container.
    pub fn sizes(&self) -> Sizes {
        let early = self.early_calls.values().map(Vec::len);
        let alone = self.fences.keys();
        let alone = alone.filter(|uuid| !self.entries.contains_key(*uuid));
        // It is still to be looked at who has come meanwhile.
        let is_due = |uuid: &Id| self.timers.is_set(&Timer::Fence(uuid.clone()));
        let over = self.fences.iter();
        let over = over.filter(|(uuid, fence)| self.is_over(fence) && !is_due(uuid));
        let no_batch = !self.timers.is_set(&Timer::Events);
        let batch = no_batch.then(|| self.feed.unsent_batch());
        let durable = self.durable.values().map(IndexSet::len);
        let reserve = self.in_reserve.values().map(BTreeSet::len);
        let mut sizes = Sizes {
            sessions: self.sessions.len(),
            durable_clients: self.durable.len(),
            durable: durable.sum(),
            named: self.named.values().map(BTreeSet::len).sum(),
            fencing: self.fencing.len(),
            watchers: self.feed.watchers.len(),
            agents: self.agents.len(),
            of_agents: self.agents.values().map(|one| one.containers.len()).sum(),
            in_reserve: self.in_reserve.len(),
            in_reserve_of_one: reserve.max().unwrap_or_default(),
            kinds: self.kinds.len(),
            cursors: self.cursors.len(),
            by_kind: self.by_kind.values().map(BTreeMap::len).sum(),
            waiting: self.waiting.len(),
            connections: self.conns.len(),
            containers: self.entries.len(),
            early_gets: self.early_gets.len(),
            held: early.clone().sum(),
            held_of_one: early.max().unwrap_or_default(),
            held_bytes: self.held_bytes + self.unplaced_bytes,
            calls: self.calls.len(),
            timers: self.timers.len(),
            fences_alone: alone.count(),
            fences_over: over.count(),
            unknown: self.early_calls.len(),
            unsent: self.feed.unsent() + batch.unwrap_or_default(),
            past: self.past.len(),
            ..Sizes::default()
        };
        self.sessions
            .values()
            .for_each(|one| sizes.add_session(one));
        self.entries.values().for_each(|one| sizes.add_entry(one));
        sizes
    }
}

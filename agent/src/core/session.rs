//! Clients of a ROUTER, the agent's or a container's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::config::Config;
use super::sizes::DoorSizes;
use super::types::Id;

/// A client's requests without an answer, and the bytes of each.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: BTreeMap<Id, usize>,
    bytes: usize,
}

impl InFlight {
    /// Whether it may have one more; the first may be of any size, and one that it has is none more.
    pub(super) fn takes(&self, request: &Id, bytes: usize, config: &Config) -> bool {
        self.requests.is_empty()
            || self.requests.contains_key(request)
            || (self.requests.len() < config.requests_in_flight
                && self.bytes.saturating_add(bytes) <= config.bytes_in_flight)
    }

    pub(super) fn insert(&mut self, request: Id, bytes: usize) {
        let before = self.requests.insert(request, bytes);
        self.bytes = self.bytes + bytes - before.unwrap_or_default();
    }

    pub(super) fn remove(&mut self, request: &Id) {
        self.bytes -= self.requests.remove(request).unwrap_or_default();
    }
}

/// A client of one ROUTER.
#[derive(Debug)]
pub(super) struct Session {
    /// Its uuid in the answers to hello and ping.
    pub(super) uuid: String,
    /// Its connection; none while it is between two, or away.
    pub(super) conn: Option<Bytes>,
    /// A Rust peer's nonce; none of a TypeScript peer.
    pub(super) nonce: Option<String>,
    pub(super) alive_timeout: Duration,
    pub(super) last_heard: Duration,
    /// Whether it was heard from within its alive timeout.
    pub(super) present: bool,
    /// Requests without an answer.
    pub(super) in_flight: InFlight,
    /// Containers whose events it wants: kept while it is away, for TypeScript clients do not say
    /// it again (W27).
    pub(super) containers: BTreeSet<Id>,
}

impl Session {
    pub(super) fn is_rust(&self) -> bool {
        self.nonce.is_some()
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sessions {
    instance: Uuid,
    made: u64,
    by_client: BTreeMap<Id, Session>,
    by_conn: BTreeMap<Bytes, Id>,
    present: usize,
    absent: usize,
}

impl Sessions {
    pub(super) fn new(instance: Uuid) -> Self {
        Self {
            instance,
            made: 0,
            by_client: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            present: 0,
            absent: 0,
        }
    }

    /// The uuid of this agent's process, for those who have no session.
    pub(super) fn instance(&self) -> String {
        self.instance.to_string()
    }

    pub(super) fn next_uuid(&mut self) -> String {
        self.made += 1;
        let name = format!("session {}", self.made);
        Uuid::new_v5(&self.instance, name.as_bytes()).to_string()
    }

    pub(super) fn get_mut(&mut self, client: &str) -> Option<&mut Session> {
        self.by_client.get_mut(client)
    }

    pub(super) fn client_of(&self, conn: &Bytes) -> Option<&Id> {
        self.by_conn.get(conn)
    }

    pub(super) fn is_present(&self, client: &str) -> bool {
        self.by_client.get(client).is_some_and(|s| s.present)
    }

    /// Those who are there.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Id> {
        let all = self.by_client.iter();
        all.filter(|(_, session)| session.present)
            .map(|(client, _)| client)
    }

    pub(super) fn present(&self) -> usize {
        self.present
    }

    pub(super) fn add_to(&self, sizes: &mut DoorSizes) {
        sizes.doors += 1;
        sizes.clients += self.by_client.len();
        sizes.connections += self.by_conn.len();
        for session in self.by_client.values() {
            sizes.subscriptions += session.containers.len();
            sizes.in_flight += session.in_flight.requests.len();
        }
    }

    pub(super) fn absent(&self) -> usize {
        self.absent
    }

    /// Binds a client to a connection; the ones that either had before are theirs no more.
    pub(super) fn bind(&mut self, client: &Id, conn: &Bytes) {
        if let Some(other) = self.by_conn.insert(conn.clone(), client.clone())
            && other != *client
            && let Some(session) = self.by_client.get_mut(&other)
        {
            session.conn = None;
        }
        if let Some(session) = self.by_client.get_mut(client) {
            let before = session.conn.replace(conn.clone());
            if let Some(before) = before.filter(|before| before != conn) {
                self.by_conn.remove(&before);
            }
        }
    }

    /// A connection is closed; its client may come back over another one.
    pub(super) fn unbind(&mut self, conn: &Bytes) {
        if let Some(client) = self.by_conn.remove(conn)
            && let Some(session) = self.by_client.get_mut(&client)
            && session.conn.as_ref() == Some(conn)
        {
            session.conn = None;
        }
    }

    pub(super) fn insert(&mut self, client: Id, session: Session) {
        self.present += 1;
        if let Some(before) = self.by_client.insert(client, session) {
            self.uncount(before.present);
        }
    }

    pub(super) fn remove(&mut self, client: &str) -> Option<Session> {
        let session = self.by_client.remove(client)?;
        if let Some(conn) = &session.conn {
            self.by_conn.remove(conn);
        }
        self.uncount(session.present);
        Some(session)
    }

    fn uncount(&mut self, present: bool) {
        if present {
            self.present -= 1;
        } else {
            self.absent -= 1;
        }
    }

    /// Marks a client as there; returns the containers that it is connected to if it was away.
    pub(super) fn arrive(&mut self, client: &str) -> Vec<Id> {
        match self.by_client.get_mut(client) {
            Some(session) if !session.present => {
                session.present = true;
                self.present += 1;
                self.absent -= 1;
                session.containers.iter().cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Marks a client as away; returns the containers that it is connected to.
    pub(super) fn leave(&mut self, client: &str) -> Vec<Id> {
        match self.by_client.get_mut(client) {
            Some(session) if session.present => {
                session.present = false;
                // Whoever comes back over the same connection says hello first.
                if let Some(conn) = session.conn.take() {
                    self.by_conn.remove(&conn);
                }
                self.present -= 1;
                self.absent += 1;
                session.containers.iter().cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Clients that were not heard from within their alive timeout.
    pub(super) fn silent(&self, now: Duration) -> Vec<Id> {
        self.by_client
            .iter()
            .filter(|(_, session)| session.present)
            .filter(|(_, s)| now.saturating_sub(s.last_heard) >= s.alive_timeout)
            .map(|(client, _)| client.clone())
            .collect()
    }

    /// The client that is away for the longest time.
    pub(super) fn longest_away(&self) -> Option<Id> {
        self.by_client
            .iter()
            .filter(|(_, session)| !session.present)
            .min_by_key(|(_, session)| session.last_heard)
            .map(|(client, _)| client.clone())
    }

    pub(super) fn unsubscribe(&mut self, client: &str, uuid: &str) {
        if let Some(session) = self.by_client.get_mut(client) {
            session.containers.remove(uuid);
            // Away and with nothing to come back to.
            if !session.present && session.containers.is_empty() {
                self.remove(client);
            }
        }
    }
}

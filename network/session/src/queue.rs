//! Requests that are not answered yet, in the order in which they are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};

use crate::io::Token;
use crate::pending::{Key, Owner, Pending, Stage, Wait};

/// Ids of requests that were given up, whose late answers are no surprise.
pub(crate) const MAX_GIVEN_UP: usize = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    next: u64,
    pending: BTreeMap<Key, Pending>,
    by_id: IndexMap<String, Key>,
    by_token: IndexMap<Token, Key>,
    /// Those to be sent, by what they may wait for.
    queued: [BTreeSet<Key>; 3],
    retries: BTreeSet<(Duration, Key)>,
    held: BTreeSet<Key>,
    deadlines: BTreeSet<(Duration, Key)>,
    gets: BTreeSet<Key>,
    in_flight: usize,
    given_up: IndexSet<String>,
}

impl Queue {
    /// The number of the next request.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn insert(&mut self, key: Key, request: Pending) {
        self.by_id.insert(request.id.clone(), key);
        if let Some(token) = request.owner.token() {
            self.by_token.insert(token, key);
        }
        if let Some(deadline) = request.deadline {
            self.deadlines.insert((deadline, key));
        }
        if matches!(request.owner, Owner::Get { .. }) {
            self.gets.insert(key);
        }
        self.queued[request.wait() as usize].insert(key);
        self.pending.insert(key, request);
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Pending> {
        self.stage(key, Stage::Queued);
        self.gets.remove(&key);
        let request = self.pending.remove(&key)?;
        self.queued[request.wait() as usize].remove(&key);
        self.by_id.swap_remove(&request.id);
        if let Some(token) = request.owner.token() {
            self.by_token.swap_remove(&token);
        }
        if let Some(deadline) = request.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        Some(request)
    }

    /// Removes a request whose answer may still come.
    pub(crate) fn give_up(&mut self, key: Key) -> Option<Pending> {
        let request = self.remove(key)?;
        if request.ever_sent {
            if self.given_up.len() == MAX_GIVEN_UP {
                self.given_up.shift_remove_index(0);
            }
            self.given_up.insert(request.id.clone());
        }
        Some(request)
    }

    /// Gives a request another id: it is another request for the peer.
    pub(crate) fn rename(&mut self, key: Key, id: String) {
        if let Some(request) = self.pending.get_mut(&key) {
            let before = std::mem::replace(&mut request.id, id.clone());
            self.by_id.swap_remove(&before);
            self.by_id.insert(id, key);
        }
    }

    /// Whether the id is one of a request that was given up.
    pub(crate) fn was_given_up(&mut self, id: &str) -> bool {
        self.given_up.shift_remove(id)
    }

    pub(crate) fn stage(&mut self, key: Key, stage: Stage) {
        let Some(request) = self.pending.get_mut(&key) else {
            return;
        };
        match request.stage {
            Stage::Queued => {
                self.queued[request.wait() as usize].remove(&key);
            }
            Stage::Sent => self.in_flight -= 1,
            Stage::Retry { at } => {
                self.retries.remove(&(at, key));
            }
            Stage::Held => {
                self.held.remove(&key);
            }
        }
        request.stage = stage;
        match stage {
            Stage::Queued => {
                self.queued[request.wait() as usize].insert(key);
            }
            Stage::Sent => self.in_flight += 1,
            Stage::Retry { at } => {
                self.retries.insert((at, key));
            }
            Stage::Held => {
                self.held.insert(key);
            }
        }
    }

    /// Nobody waits for a get any more; it goes on, without a deadline.
    pub(crate) fn abandon(&mut self, key: Key) {
        let Some(request) = self.pending.get_mut(&key) else {
            return;
        };
        if let Some(token) = request.owner.token() {
            self.by_token.swap_remove(&token);
        }
        if let Some(deadline) = request.deadline.take() {
            self.deadlines.remove(&(deadline, key));
        }
        if let Owner::Get { token, .. } = &mut request.owner {
            *token = None;
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Pending> {
        self.pending.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Pending> {
        self.pending.get_mut(&key)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Key> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn by_token(&self, token: Token) -> Option<Key> {
        self.by_token.get(&token).copied()
    }

    /// The first to be sent among those that may wait no longer than `longest`.
    pub(crate) fn first_queued(&self, longest: Wait) -> Option<Key> {
        let may = &self.queued[..=longest as usize];
        may.iter()
            .filter_map(|queued| queued.first())
            .min()
            .copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Ids of requests that were given up.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.pending.keys().copied().collect()
    }

    /// Whether the answer to a get may still bring a reference to a container.
    pub(crate) fn may_get(&self, uuid: &str, kind: Option<&str>) -> bool {
        self.gets
            .iter()
            .filter_map(|key| self.pending.get(key))
            .any(|request| request.may_get(uuid, kind))
    }

    pub(crate) fn next_retry(&self) -> Option<Duration> {
        self.retries.first().map(|(at, _)| *at)
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn due_retry(&self, now: Duration) -> Option<Key> {
        self.retries
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, key)| *key)
    }

    pub(crate) fn due_deadline(&self, now: Duration) -> Option<Key> {
        self.deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, key)| *key)
    }

    pub(crate) fn held(&self) -> Vec<Key> {
        self.held.iter().copied().collect()
    }

    pub(crate) fn retrying(&self) -> Vec<Key> {
        self.retries.iter().map(|(_, key)| *key).collect()
    }
}

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use huly_protocol::{ErrorPayload, Json};

use super::types::{CallNumber, Door, Id, Run};

/// A caller's request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) client: Id,
    pub(super) request: Id,
    /// The ROUTER that the id is of. A TypeScript client is one of several senders with one client id,
    /// each of which counts its requests by itself (W05); ids of Rust clients are good on all routes.
    pub(super) counted_at: Option<Door>,
}

/// What a request is, however it came: a caller's request to one life of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) run: Run,
    pub(super) name: Name,
}

impl Key {
    /// None of the client's to that life comes before it.
    fn first_of(run: Run, client: &str) -> Self {
        let name = Name {
            client: Id::from(client),
            request: Id::from(""),
            counted_at: None,
        };
        Self { run, name }
    }
}

/// A request that was seen before.
#[derive(Debug)]
pub(super) enum Seen {
    /// It runs or waits.
    Running(CallNumber),
    /// It was answered.
    Answered(Result<Json, ErrorPayload>),
}

/// The requests that run, and the answers of those that ran within a window of time and bytes: by
/// them a request that is sent again runs at most once.
#[derive(Debug)]
pub(super) struct Answers {
    window: Duration,
    limit: usize,
    seen: BTreeMap<Key, Seen>,
    /// Answered ones, the oldest first; some may be forgotten already.
    order: VecDeque<(Duration, Key, usize)>,
    bytes: usize,
}

impl Answers {
    pub(super) fn new(window: Duration, limit: usize) -> Self {
        Self {
            window,
            limit,
            seen: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Seen> {
        self.seen.get(key)
    }

    pub(super) fn running(&mut self, key: Key, call: CallNumber) {
        self.seen.insert(key, Seen::Running(call));
    }

    pub(super) fn answered(
        &mut self,
        now: Duration,
        key: Key,
        result: &Result<Json, ErrorPayload>,
    ) {
        let answer = match result {
            Ok(data) => data.text().len(),
            Err(error) => error.message.len(),
        };
        // The key is kept twice; the rest is what the maps take.
        let size = answer + 2 * (key.name.client.len() + key.name.request.len()) + 128;
        self.seen
            .insert(key.clone(), Seen::Answered(result.clone()));
        self.order.push_back((now, key, size));
        self.bytes += size;
        while self.bytes > self.limit {
            if !self.forget_oldest() {
                break;
            }
        }
    }

    /// A request that did not run: sent again it may.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(Seen::Running(_)) = self.seen.get(key) {
            self.seen.remove(key);
        }
    }

    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((at, ..)) = self.order.front() {
            if now.saturating_sub(*at) < self.window {
                break;
            }
            self.forget_oldest();
        }
    }

    /// The container's life is over, so nothing can be sent to it again.
    pub(super) fn ended(&mut self, run: Run) {
        let of_run: Vec<Key> = self
            .seen
            .range(Key::first_of(run, "")..)
            .take_while(|(key, _)| key.run == run)
            .map(|(key, _)| key.clone())
            .collect();
        for key in of_run {
            self.seen.remove(&key);
        }
    }

    /// Forgets what a client has asked of a container under ids that it counted at a ROUTER; the calls
    /// of that which run are returned.
    pub(super) fn forget_sender(&mut self, run: Run, client: &Id, at: Door) -> Vec<CallNumber> {
        let is_its = |key: &Key| {
            let name = &key.name;
            key.run == run && name.client == *client && name.counted_at == Some(at)
        };
        let known = self.seen.range(Key::first_of(run, client)..);
        let of_client = known.take_while(|(key, _)| key.run == run && key.name.client == *client);
        let its: Vec<Key> = of_client
            .filter(|(key, _)| is_its(key))
            .map(|(key, _)| key.clone())
            .collect();
        let mut running = Vec::new();
        let mut answered = false;
        for key in its {
            match self.seen.remove(&key) {
                Some(Seen::Running(call)) => running.push(call),
                Some(Seen::Answered(_)) => answered = true,
                None => {}
            }
        }
        if answered {
            let bytes = &mut self.bytes;
            self.order.retain(|(_, key, size)| {
                let stays = !is_its(key);
                *bytes -= if stays { 0 } else { *size };
                stays
            });
        }
        running
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, size)) = self.order.pop_front() else {
            return false;
        };
        self.bytes -= size;
        if let Some(Seen::Answered(_)) = self.seen.get(&key) {
            self.seen.remove(&key);
        }
        true
    }

    /// Requests that are known, and answers that are remembered.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.seen.len(), self.order.len())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

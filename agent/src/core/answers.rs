use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{ContainerCall, ErrorPayload, Json};

use super::types::{CallNumber, Door, Id, Run};

/// A caller's request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) client: Id,
    pub(super) request: Id,
    /// Absent where the id names one request on all routes.
    pub(super) counted: Option<Counted>,
}

/// A TypeScript client has one client id and several senders, each of which counts its requests from 0
/// (W05). At a ROUTER there mostly is one after the other, if there is more than one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    at: Door,
    /// Of what is asked: another text under a number is another sender's.
    digest: u64,
}

impl Counted {
    pub(super) fn new(at: Door, call: &ContainerCall<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        (&call.operation, call.data.get()).hash(&mut hasher);
        let digest = hasher.finish();
        Self { at, digest }
    }
}

/// What a request is, however it came: a caller's request to one life of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) run: Run,
    pub(super) name: Name,
}

/// A request that was seen before.
#[derive(Debug)]
pub(super) enum Seen {
    /// It runs or waits.
    Running(CallNumber),
    /// It was answered.
    Answered(Result<Json, ErrorPayload>),
}

#[derive(Debug)]
struct Known {
    seen: Seen,
    /// The connection over which a TypeScript client asked last.
    over: Option<Bytes>,
}

/// The requests that run, and the answers of those that ran within a window of time and bytes: by
/// them a request that is sent again runs at most once.
#[derive(Debug)]
pub(super) struct Answers {
    window: Duration,
    limit: usize,
    seen: BTreeMap<Key, Known>,
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

    /// A request comes, and was seen before if something is returned.
    pub(super) fn asked(&mut self, key: &Key, over: Option<&Bytes>) -> Option<&Seen> {
        let known = self.seen.get_mut(key)?;
        known.over = over.cloned();
        Some(&known.seen)
    }

    pub(super) fn running(&mut self, key: Key, over: Option<Bytes>, call: CallNumber) {
        let seen = Seen::Running(call);
        self.seen.insert(key, Known { seen, over });
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
        let seen = Seen::Answered(result.clone());
        let over = self.seen.remove(&key).and_then(|known| known.over);
        self.seen.insert(key.clone(), Known { seen, over });
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
        if let Some(Seen::Running(_)) = self.seen.get(key).map(|known| &known.seen) {
            self.seen.remove(key);
        }
    }

    /// A TypeScript client closes its sender: it sends nothing again, and its next one counts from 0.
    /// The calls of that which run are returned.
    pub(super) fn closed(&mut self, at: Door, conn: &Bytes) -> Vec<CallNumber> {
        let is_of = |key: &Key| key.name.counted.as_ref().is_some_and(|of| of.at == at);
        let its = self.seen.extract_if(.., |key, known| {
            is_of(key) && known.over.as_ref() == Some(conn)
        });
        let (mut running, mut answered) = (Vec::new(), BTreeSet::new());
        for (key, known) in its {
            match known.seen {
                Seen::Running(call) => running.push(call),
                Seen::Answered(_) => drop(answered.insert(key)),
            }
        }
        if !answered.is_empty() {
            let bytes = &mut self.bytes;
            self.order.retain(|(_, key, size)| {
                let stays = !answered.contains(key);
                *bytes -= if stays { 0 } else { *size };
                stays
            });
        }
        running
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
        let first = Name {
            client: Id::from(""),
            request: Id::from(""),
            counted: None,
        };
        let of_run: Vec<Key> = self
            .seen
            .range(Key { run, name: first }..)
            .take_while(|(key, _)| key.run == run)
            .map(|(key, _)| key.clone())
            .collect();
        for key in of_run {
            self.seen.remove(&key);
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, size)) = self.order.pop_front() else {
            return false;
        };
        self.bytes -= size;
        if let Some(Seen::Answered(_)) = self.seen.get(&key).map(|known| &known.seen) {
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

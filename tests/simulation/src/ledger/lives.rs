//! Which lives of a container there are and were.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::Epoch;

use super::{Ledger, News};
use crate::world::ProcessId;

/// One life of a container somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) uuid: String,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) accepts: bool,
    pub(crate) serial: bool,
    /// How its agent was told to start it, if it was.
    pub(crate) placing: Option<Placing>,
    pub(crate) since: Duration,
    /// When it began with a request last.
    pub(crate) begun: Option<Duration>,
    /// When it began with a request last that its agent knew to be of an exclusive kind.
    pub(crate) begun_alone: Option<Duration>,
    /// The requests that it has begun with and not answered.
    pub(crate) running: BTreeSet<u64>,
    /// When it answered each request last, and how many answers its agent had given by then.
    pub(crate) answered: BTreeMap<u64, (Duration, u64)>,
}

/// How an agent was told to start a life.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    pub(crate) kind: String,
    /// By the specification that came with it.
    pub(crate) exclusive: bool,
    pub(crate) at: Duration,
}

/// A life of a container: its process and the run there.
pub(crate) type CopyId = (ProcessId, u64);

impl Ledger {
    /// The containers that accept requests or did since then.
    pub(crate) fn alive_since(&self, since: Duration) -> impl Iterator<Item = &str> {
        let accepting = self.accepting.iter().filter(|(_, all)| !all.is_empty());
        let refused = self.refused.iter().filter(move |(_, at)| **at >= since);
        let refused = refused.map(|(uuid, _)| uuid.as_str());
        accepting.map(|(uuid, _)| uuid.as_str()).chain(refused)
    }

    /// The lives of a container that were later than an epoch, also those that are over.
    pub(crate) fn later_than(
        &self,
        uuid: &str,
        epoch: Option<Epoch>,
    ) -> impl Iterator<Item = (CopyId, &Copy)> {
        let lives = self.lives.get(uuid).into_iter().flatten();
        let known = lives.filter_map(|life| Some((*life, self.copies.get(life)?)));
        known.filter(move |(_, known)| known.epoch > epoch)
    }

    /// The copies of a container that accept, with their epochs.
    pub(crate) fn accepting(&self, uuid: &str) -> Vec<(CopyId, Option<Epoch>)> {
        let all = self.accepting.get(uuid).into_iter().flatten();
        all.map(|copy| (*copy, self.copies.get(copy).and_then(|known| known.epoch)))
            .collect()
    }

    pub(super) fn refuses(&mut self, now: Duration, copy: CopyId, by_itself: bool) {
        let Some(known) = self.copies.get_mut(&copy).filter(|known| known.accepts) else {
            return;
        };
        known.accepts = false;
        if let Some(all) = self.accepting.get_mut(&known.uuid) {
            all.remove(&copy);
        }
        self.refused.insert(known.uuid.clone(), now);
        self.news.push(News::Refuses { copy, by_itself });
    }

    /// A process is gone, and all that it was doing.
    pub(crate) fn died(&mut self, now: Duration, process: ProcessId) {
        let its = (process, 0)..=(process, u64::MAX);
        let copies: Vec<CopyId> = self.copies.range(its.clone()).map(|(id, _)| *id).collect();
        for copy in copies {
            self.refuses(now, copy, true);
        }
        let calls = self.gets.extract_if(.., |(by, _), _| *by == process);
        calls.for_each(|_| self.called.note(now));
        let asked = &self.asked;
        let its = |op: &u64| asked.get(op).is_none_or(|asked| asked.by == process);
        let requests = self.unanswered.extract_if(.., its);
        requests.for_each(|_| self.answered.note(now));
    }
}

impl News {
    /// The container that its agent was told to end.
    pub(crate) fn told_to_end(&self) -> Option<&CopyId> {
        match self {
            Self::Refuses {
                copy,
                by_itself: false,
            } => Some(copy),
            _ => None,
        }
    }
}

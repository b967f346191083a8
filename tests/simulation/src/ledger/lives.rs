//! Which lives of a container there are and were.

use std::time::Duration;

use huly_protocol::Epoch;

use super::{Copy, CopyId, Ledger, News};
use crate::world::ProcessId;

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

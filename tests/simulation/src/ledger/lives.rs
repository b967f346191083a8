//! Which lives of a container there are and were.

use std::time::Duration;

use huly_protocol::Epoch;

use super::{Copy, CopyId, Ledger};

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
}

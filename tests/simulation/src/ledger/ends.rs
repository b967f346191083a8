//! When things came to their ends.

use std::time::Duration;

/// When things ended, in order.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<Duration>);

impl Ends {
    pub(super) fn note(&mut self, at: Duration) {
        self.0.push(at);
    }

    /// How many did since then.
    pub(crate) fn since(&self, since: Duration) -> usize {
        self.0.len() - self.0.partition_point(|at| *at < since)
    }
}

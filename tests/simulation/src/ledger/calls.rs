//! Gets of clients of ours, and when calls ended.

use std::time::Duration;

use huly_protocol::ErrorCode;

use super::{Ledger, News};
use crate::world::ProcessId;

/// A get without an end.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) kind: String,
    pub(crate) at: Duration,
    pub(crate) deadline: Duration,
}

/// When things ended, in order.
#[derive(Debug, Default)]
pub(crate) struct Ends(pub(super) Vec<Duration>);

impl Ends {
    /// How many did since then.
    pub(crate) fn since(&self, since: Duration) -> usize {
        self.0.len() - self.0.partition_point(|at| *at < since)
    }
}

impl Ledger {
    pub(super) fn called(
        &mut self,
        now: Duration,
        by: ProcessId,
        call: u64,
        code: Option<ErrorCode>,
    ) {
        if let Some(get) = self.gets.remove(&(by, call)) {
            self.called.0.push(now);
            self.news.push(News::Called { call, code, get });
        }
    }
}

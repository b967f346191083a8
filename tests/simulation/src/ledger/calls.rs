//! Gets of clients of ours, and their ends.

use std::time::Duration;

use huly_protocol::ErrorCode;

use super::{Ledger, News};
use crate::world::ProcessId;

/// A get without an end.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) by: ProcessId,
    pub(crate) kind: String,
    pub(crate) at: Duration,
    pub(crate) deadline: Duration,
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
            self.called.note(now);
            self.news.push(News::Called { call, code, get });
        }
    }
}

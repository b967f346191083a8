//! Requests and gets of clients of ours, and their ends.

use std::collections::BTreeSet;
use std::time::Duration;

use huly_protocol::ErrorCode;

use super::{CopyId, Ledger, News, Outcome};
use crate::world::ProcessId;

/// A request of a client.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) by: ProcessId,
    /// The container that was asked.
    pub(crate) uuid: String,
    pub(crate) at: Duration,
    pub(crate) deadline: Duration,
    pub(crate) idempotent: bool,
    pub(crate) connection: Option<(u64, u64)>,
    pub(crate) of_port: bool,
    pub(crate) sent_again: bool,
    /// Its place among all that began, when it did so last.
    pub(crate) began: u64,
    /// What ran in its serial container when it began.
    pub(crate) beside: Option<u64>,
    /// What it came to, and when.
    pub(crate) outcome: Option<(Outcome, Duration)>,
    /// Whether it went out.
    pub(crate) sent: bool,
    /// Its tries until now, but the first: of one that is idempotent, which is sent again as if it
    /// had never been.
    pub(crate) tries: u64,
    /// When the last one began without an answer to the one before.
    pub(crate) tried_anew: Option<Duration>,
    /// The tries by which it ran.
    pub(crate) ran_by: BTreeSet<u64>,
    /// In which lives it was begun.
    pub(crate) executed: Vec<CopyId>,
}

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

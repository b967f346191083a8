//! The API server: what is written to it at once, and when it fails.

use std::time::Duration;

use super::{Core, Timer, WriteError, backoff};

/// Writes of claims' statuses without an answer at once.
const MAX_WRITES: usize = 32;

/// How it took the last writes.
#[derive(Debug, Default)]
pub(super) struct ApiServer {
    failures: u32,
    /// While it fails: when the next write is tried, alone.
    retry_at: Option<Duration>,
}

impl ApiServer {
    /// Until when nothing is written.
    pub(super) fn paused_until(&self) -> Option<Duration> {
        self.retry_at
    }
}

impl Core {
    /// Whether the status of a claim may be written now.
    pub(super) fn may_write(&self) -> bool {
        match self.api_server.retry_at {
            None => self.writes < MAX_WRITES,
            Some(at) => at <= self.now.mono && self.writes == 0,
        }
    }

    /// A write came back.
    pub(super) fn write_answered(&mut self, result: &Result<u64, WriteError>) {
        let now = self.now.mono;
        if *result != Err(WriteError::Away) {
            self.api_server = ApiServer::default();
            return;
        }
        // Of many that were on their way together the first one counts.
        let first = self.api_server.retry_at.is_none_or(|at| at <= now);
        if first {
            self.api_server.failures += 1;
            let at = now + backoff(self.api_server.failures, "api server");
            self.api_server.retry_at = Some(at);
            self.look_again(at, Timer::Control);
        }
    }
}

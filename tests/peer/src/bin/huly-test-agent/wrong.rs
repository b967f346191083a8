//! A counter that breaks a promise, for those who are to notice.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use huly_agent::{Call, Container, ContainerError, Json, answer};
use serde_json::json;

/// One in so many increments goes wrong.
const EVERY: u64 = 10;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wrong {
    /// It runs twice
    Twice,
    /// It is answered and not kept
    Forgotten,
    /// It fails with an error of the container's own
    Failed,
    /// It is never answered
    Unanswered,
}

/// Counts by one, and answers as the counter of the stock agent does.
pub(crate) struct WrongCounter {
    wrong: Wrong,
    asked: AtomicU64,
    value: AtomicU64,
}

impl WrongCounter {
    /// One that has counted nothing.
    pub(crate) fn new(wrong: Wrong) -> Self {
        Self {
            wrong,
            asked: AtomicU64::new(0),
            value: AtomicU64::new(0),
        }
    }
}

impl Container for WrongCounter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        if call.operation != "increment" {
            return Err(call.unknown(&["increment"]));
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (kept, says) = match asked.is_multiple_of(EVERY).then_some(self.wrong) {
            Some(Wrong::Twice) => (2, 0),
            Some(Wrong::Forgotten) => (0, 1),
            Some(Wrong::Failed) => return Err(ContainerError::new("it would not")),
            Some(Wrong::Unanswered) => std::future::pending().await,
            None => (1, 0),
        };
        let value = self.value.fetch_add(kept, Ordering::Relaxed) + kept;
        answer(&json!({ "value": value + says }))
    }
}

//! Undoing what a story did, whatever it came to.

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::Result;
use futures::FutureExt;

/// Tells a story, and undoes what it did when it is over: told, failed or panicked.
///
/// # Errors
/// The story's, or else that of undoing it.
pub async fn and_undo(
    story: impl Future<Output = Result<()>>,
    undo: impl Future<Output = Result<()>>,
) -> Result<()> {
    let told = AssertUnwindSafe(story).catch_unwind().await;
    let undone = undo.await;
    match told {
        Ok(outcome) => outcome.and(undone),
        Err(panic) => resume_unwind(panic),
    }
}

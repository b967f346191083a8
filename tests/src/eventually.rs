//! Waiting for what nobody announces.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long any step may take: more than five times what one takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// How often the condition is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` finds what it looks for, and returns it.
///
/// # Errors
/// When it has not come by the deadline: with what the last look saw.
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= end => {
                bail!("not within {deadline:?}: {what}; last seen: {seen:#}")
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}

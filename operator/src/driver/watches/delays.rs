use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// The delays before a list or a watch is begun again.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// How long after each failure it is tried again: ever later. What went well for a moment resets
/// nothing, for a watch begins well before each failure; time does.
#[derive(Debug)]
pub(super) struct Delays {
    growing: ExponentialBackoff,
    last: Option<Instant>,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self {
            growing: growing(),
            last: None,
        }
    }

    /// Something failed now: how long to wait.
    pub(super) fn after_failure(&mut self) -> Duration {
        let now = Instant::now();
        let last = self.last.replace(now);
        if last.is_some_and(|last| now.duration_since(last) > 4 * LONGEST) {
            self.growing = growing();
        }
        self.growing.next().unwrap_or(LONGEST)
    }
}

fn growing() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_and_again_is_tried_ever_later() {
        let mut delays = Delays::new();
        let mut asked = Vec::new();
        for _ in 0..12 {
            let delay = delays.after_failure();
            asked.push(delay);
            // A watch that is closed soon after it began went well for a moment.
            tokio::time::sleep(delay + Duration::from_secs(1)).await;
        }
        assert!(asked[0] < 2 * FIRST, "{asked:?}");
        assert!(asked[11] >= LONGEST, "{asked:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(delays.after_failure() < 2 * FIRST);
    }
}

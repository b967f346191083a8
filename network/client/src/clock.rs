use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// The time since the machine started, with the time that it was suspended: the clock of agents'
/// leases.
pub fn boot_clock() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The clock of a process: the boot clock, or in a test's network the one that the test moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// When the test's network began.
    #[cfg(feature = "testing")]
    zero: Option<Instant>,
}

impl Clock {
    /// The clock of a test's network that begins now.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test() -> Self {
        Self {
            zero: Some(Instant::now()),
        }
    }

    /// What it shows; of the boot clock see [`boot_clock`].
    pub fn now(self) -> Duration {
        #[cfg(feature = "testing")]
        if let Some(zero) = self.zero {
            return zero.elapsed();
        }
        boot_clock()
    }

    /// The moment of tokio's clock at which this one shows `at`.
    pub fn instant_of(self, at: Duration) -> Instant {
        Instant::now() + at.saturating_sub(self.now())
    }
}

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since the machine started, with the time that it was suspended: the clock of agents'
/// leases.
pub fn boot_clock() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The moment of tokio's clock at which the boot clock shows `at`.
pub(crate) fn instant_of(at: Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + at.saturating_sub(boot_clock())
}

//! What a machine's clocks show.

use std::time::Duration;

/// The time of day at which every simulation begins, in ms since 1970.
const DAWN_MS: i64 = 1_700_000_000_000;

/// The clocks of one machine. The monotonic one never steps but runs a little too fast or too slow;
/// the time of day is anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// How much too fast the monotonic one is, in millionths.
    pub(crate) drift: i64,
    /// What it shows at the beginning.
    pub(crate) zero: Duration,
    /// By how much the time of day is wrong, in ms.
    pub(crate) step_ms: i64,
}

impl Clock {
    /// What the monotonic clock shows when `world` has passed since the beginning.
    pub(crate) fn mono(&self, world: Duration) -> Duration {
        self.zero + scale(world, 1_000_000 + self.drift, 1_000_000)
    }

    /// When it shows that: never before.
    pub(crate) fn world(&self, mono: Duration) -> Duration {
        let passed = mono.saturating_sub(self.zero);
        scale(passed, 1_000_000, 1_000_000 + self.drift) + Duration::from_nanos(2)
    }

    /// The time of day, in ms since 1970.
    pub(crate) fn wall_ms(&self, world: Duration) -> u64 {
        let passed = i64::try_from(world.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(DAWN_MS + self.step_ms + passed).unwrap_or(0)
    }
}

fn scale(time: Duration, by: i64, per: i64) -> Duration {
    let nanos = time.as_nanos() as i128 * i128::from(by) / i128::from(per);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_never_comes_before_its_time() {
        for drift in [-400, -1, 0, 1, 399] {
            let zero = Duration::from_secs(77);
            let clock = Clock {
                drift,
                zero,
                step_ms: 0,
            };
            for nanos in [0, 1, 999, 1_000_001, 123_456_789_012] {
                let mono = zero + Duration::from_nanos(nanos);
                let shown = clock.mono(clock.world(mono));
                assert!(shown >= mono, "{drift} {nanos}");
                assert!(shown - mono < Duration::from_nanos(10), "{drift} {nanos}");
            }
        }
    }
}

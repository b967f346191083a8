//! How long leases, graces and settling are, and how wrong clocks.

use std::ops::Range;
use std::time::Duration;

use super::Step;
use crate::random::Random;

/// How long an agent of ours is isolated where leases matter, in ms: beyond the longest of them.
const ISOLATED: Range<u64> = 3_500..6_000;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x71_3e50_0000;

/// By how much clocks are wrong at most, in millionths: two of them by eight percent together. An
/// exclusive kind has a quarter of a lease to spare.
const WORST_DRIFT: i64 = 40_000;

/// What programs are configured with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) lease: Duration,
    pub(crate) settle: Duration,
    /// How long containers stay with an agent whose connection ended.
    pub(crate) grace: Duration,
    pub(crate) plain_grace: Duration,
    /// By how much monotonic clocks are wrong at most, in millionths.
    pub(crate) drift: i64,
}

impl Times {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ OWN);
        let mut pick = |all: [u64; 4]| Duration::from_millis(all[random.index(4)]);
        Self {
            lease: pick([1_000, 500, 3_000, 3_000]),
            settle: pick([1_500, 1_500, 2_000, 3_000]),
            grace: pick([750, 750, 250, 2_000]),
            plain_grace: pick([1_000, 1_000, 300, 2_500]),
            drift: [200, 10_000, WORST_DRIFT, WORST_DRIFT][random.index(4)],
        }
    }

    /// Agents whose leases end while others may have their containers, as clocks differ most.
    pub(super) fn outlive_leases(
        &self,
        seed: u64,
        agents: &[String],
        until: Duration,
    ) -> Vec<(Duration, Step)> {
        let mut random = Random::new(seed ^ OWN ^ 1);
        let mut steps = Vec::new();
        if self.drift < WORST_DRIFT {
            return steps;
        }
        for _ in 0..random.of(1..4) {
            let at = random.millis(1_000..until.as_millis() as u64);
            let later = at + random.millis(ISOLATED);
            if let Some(agent) = random.pick(agents).filter(|_| later < until) {
                steps.push((at, Step::Isolate(agent.clone())));
                steps.push((later, Step::Join(agent.clone())));
            }
        }
        steps
    }

    /// Of something that takes so long by a right clock: how long it takes by the slowest.
    pub(crate) fn at_worst(&self, time: Duration) -> Duration {
        time + self.wrong_by(time)
    }

    /// And by the fastest.
    pub(crate) fn at_best(&self, time: Duration) -> Duration {
        time - self.wrong_by(time)
    }

    fn wrong_by(&self, time: Duration) -> Duration {
        let by = u32::try_from(2 * self.drift).unwrap_or_default();
        time * by / 1_000_000
    }
}

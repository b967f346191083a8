//! An agent that comes back when those that had its containers meanwhile are gone.

use std::ops::Range;
use std::time::Duration;

use super::Step;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x4e70_0000_0000;

/// In how many of the scenarios in which agents are disturbed, in percent.
const OFTEN: u64 = 15;

/// How long the agent is away before the others are killed, in ms: it has been given up.
const AWAY: Range<u64> = 3_300..6_000;

/// How long the others are dead when it is back, in ms: most of this time nobody has its containers.
const ALONE: Range<u64> = 100..2_000;

/// How much later than it the others are started again, in ms.
const LATER: Range<u64> = 0..2_000;

/// What happens to agents, until then.
pub(super) fn returns(seed: u64, agents: &[String], until: Duration) -> Vec<(Duration, Step)> {
    let mut random = Random::new(seed ^ OWN);
    let mut steps = Vec::new();
    if !random.percent(OFTEN) {
        return steps;
    }
    let at = random.millis(2_000..until.as_millis() as u64);
    let killed = at + random.millis(AWAY);
    let back = killed + random.millis(ALONE);
    let paused = random.percent(50);
    let Some(first) = random.pick(agents).filter(|_| back < until) else {
        return steps;
    };
    let (goes, comes) = match paused {
        true => (Step::Pause(first.clone()), Step::Thaw(first.clone())),
        false => (Step::Isolate(first.clone()), Step::Join(first.clone())),
    };
    steps.extend([(at, goes), (back, comes)]);
    for other in agents.iter().filter(|other| *other != first) {
        let (place, silent) = (other.clone(), false);
        steps.push((killed, Step::Crash { place, silent }));
        let started = back + random.millis(LATER);
        steps.push((started, Step::Start(other.clone())));
    }
    steps
}

//! Peers that take what the server sends them slowly.

use std::time::Duration;

use super::Step;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x51_0e3d_0000;

/// In how many of the scenarios with faults, in percent.
const OFTEN: u64 = 20;

/// How many bytes a second they take.
const PACES: [u64; 3] = [300, 1_000, 4_000];

/// Some of these places read slowly for a while, until then; nothing in most scenarios.
pub(super) fn slow_ones(seed: u64, places: &[String], until: Duration) -> Vec<(Duration, Step)> {
    let mut random = Random::new(seed ^ OWN);
    let mut steps = Vec::new();
    if !random.percent(OFTEN) {
        return steps;
    }
    for _ in 0..random.of(1..6) {
        let at = random.millis(1_000..until.as_millis() as u64);
        let later = at + random.millis(500..6_000);
        let pace = Some(PACES[random.index(PACES.len())]);
        if let Some(place) = random.pick(places).filter(|_| later < until).cloned() {
            let of = place.clone();
            steps.push((at, Step::Read { place: of, pace }));
            let pace = None;
            steps.push((later, Step::Read { place, pace }));
        }
    }
    steps
}

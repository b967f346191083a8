//! Several operators of which one leads, and what happens to them.

use std::time::Duration;

use super::Step;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x0b_05e5_0000;

/// Where they are.
pub(crate) const PLACES: [&str; 2] = ["operator-1", "operator-2"];

/// Whether there are two, in a share of the seeds.
pub(super) fn are_there(seed: u64) -> bool {
    Random::new(seed ^ OWN).percent(25)
}

/// They are paused, cut off, killed and started again, or do not reach the API server, until then.
pub(super) fn faults(seed: u64, until: Duration) -> Vec<(Duration, Step)> {
    let mut random = Random::new(seed ^ OWN ^ 1);
    let mut steps = Vec::new();
    for _ in 0..random.of(2..12) {
        let place = PLACES[random.index(PLACES.len())].to_owned();
        let at = random.millis(1_000..until.as_millis() as u64);
        let longest = [400, 2_500, 6_500][random.index(3)];
        let later = at + random.millis(10..longest);
        let (begin, end) = match random.of(0..6) {
            0 => (Step::Pause(place.clone()), Step::Thaw(place)),
            1 | 5 => (Step::Isolate(place.clone()), Step::Join(place)),
            2 => (Step::Part(place.clone()), Step::Meet(place)),
            3 => {
                let (of, silent) = (place.clone(), random.percent(30));
                (Step::Crash { place: of, silent }, Step::Start(place))
            }
            _ => (Step::LoseApi(place.clone()), Step::FindApi(place)),
        };
        if later < until {
            steps.extend([(at, begin), (later, end)]);
        }
    }
    steps
}

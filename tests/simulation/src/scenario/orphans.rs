//! A client that is away while the server is started again, until about when a server ends what
//! lived before and nobody holds.

use std::ops::Range;
use std::time::Duration;

use super::Step;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x0f4a_0000_0000;

/// In how many of the scenarios in which anything happens, in percent.
const OFTEN: u64 = 8;

/// When it goes, how long before the server ends, and how long that is away, in ms.
const GOES: Range<u64> = 2_000..5_000;
const BEFORE: Range<u64> = 50..1_500;
const WITHOUT: Range<u64> = 50..1_000;

/// How long after the next server's start it is back, in ms: around what orphans are spared for.
const BACK: Range<u64> = 7_000..13_000;

/// What happens to one of the clients and the server, until then.
pub(super) fn orphans(seed: u64, clients: &[String], until: Duration) -> Vec<(Duration, Step)> {
    let mut random = Random::new(seed ^ OWN);
    if !random.percent(OFTEN) {
        return Vec::new();
    }
    let goes = random.millis(GOES);
    let killed = goes + random.millis(BEFORE);
    let started = killed + random.millis(WITHOUT);
    let back = started + random.millis(BACK);
    let paused = random.percent(30);
    let Some(client) = random.pick(clients).filter(|_| back < until).cloned() else {
        return Vec::new();
    };
    let (begin, end) = match paused {
        true => (Step::Pause(client.clone()), Step::Thaw(client)),
        false => (Step::Isolate(client.clone()), Step::Join(client)),
    };
    let place = "server".to_owned();
    let crash = Step::Crash {
        place: place.clone(),
        silent: random.percent(30),
    };
    let start = Step::Start(place);
    vec![
        (goes, begin),
        (killed, crash),
        (started, start),
        (back, end),
    ]
}

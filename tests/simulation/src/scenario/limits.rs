//! How much programs may keep.

use std::time::Duration;

use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x11_3175_0000;

/// What programs are configured with, and what their sizes are judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests of one client that may be in flight at the server.
    pub(crate) requests_in_flight: u32,
    /// Requests to one container that may be without an answer, at the server and at its agent.
    pub(crate) calls_per_container: u32,
    /// Requests that may wait for one container at its agent.
    pub(crate) waiting_calls: usize,
    /// Bytes that the server may hold.
    pub(crate) hold_bytes: usize,
    /// Bytes of answers that an agent remembers.
    pub(crate) answers_bytes: usize,
    /// For how long.
    pub(crate) answers_window: Duration,
}

impl Limits {
    /// Some networks have little room: then clients are told that they are busy. TypeScript clients
    /// would ask again twice a second, three requests each time, for longer than a simulation lasts.
    pub(super) fn new(seed: u64, plain_clients: bool) -> Self {
        let mut random = Random::new(seed ^ OWN);
        let (large, small) = (Self::large(), Self::small());
        let mut pick = || random.percent(15);
        let few = pick() && !plain_clients;
        Self {
            requests_in_flight: [large, small][usize::from(few)].requests_in_flight,
            calls_per_container: [large, small][usize::from(pick())].calls_per_container,
            waiting_calls: [large, small][usize::from(pick())].waiting_calls,
            hold_bytes: [large, small][usize::from(pick())].hold_bytes,
            answers_bytes: [large, small][usize::from(pick())].answers_bytes,
            answers_window: [large, small][usize::from(pick())].answers_window,
        }
    }

    pub(super) fn large() -> Self {
        Self {
            requests_in_flight: 4_096,
            calls_per_container: 8_192,
            waiting_calls: 1_024,
            hold_bytes: 64 << 20,
            answers_bytes: 16 << 20,
            answers_window: Duration::from_secs(60),
        }
    }

    /// Whether gets find room, however many there are in a simulation.
    pub(crate) fn has_room(&self) -> bool {
        let large = Self::large();
        self.requests_in_flight == large.requests_in_flight && self.hold_bytes == large.hold_bytes
    }

    /// What no network is to have.
    pub(crate) fn none() -> Self {
        Self {
            requests_in_flight: u32::MAX / 2,
            calls_per_container: u32::MAX,
            waiting_calls: usize::MAX,
            hold_bytes: usize::MAX,
            answers_bytes: usize::MAX,
            answers_window: Duration::MAX,
        }
    }

    fn small() -> Self {
        Self {
            requests_in_flight: 3,
            calls_per_container: 3,
            waiting_calls: 2,
            hold_bytes: 1_500,
            answers_bytes: 6_000,
            answers_window: Duration::from_millis(700),
        }
    }
}

//! What is in a scenario beside the plain things: each seed has some of it.

use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x31de_0000_0000;

/// The largest message of a server that takes only small ones, in bytes: an agent's registration,
/// clients' references and the operator's set come in chunks of a few.
const SMALL_MESSAGES: u64 = 2_000;

/// What is in it.
#[derive(Debug, Clone)]
pub(crate) struct Breadth {
    /// The largest message that servers take, in bytes.
    pub(crate) message_bytes: Option<u64>,
    /// Whether clients of ours subscribe to the feed.
    pub(crate) watching: bool,
}

impl Breadth {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ OWN);
        Self {
            message_bytes: random.percent(20).then_some(SMALL_MESSAGES),
            watching: random.percent(25),
        }
    }
}

use crate::backcall::{MAX_REMEMBERED, MAX_REMEMBERED_BYTES};
use crate::hello::MAX_PINGS;
use crate::queue::MAX_GIVEN_UP;
use crate::session::Session;

/// How much a session keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Requests without an answer.
    pub pending: usize,
    /// Those of them that were sent.
    pub in_flight: usize,
    /// Ids of requests that were given up and may yet be answered.
    pub given_up: usize,
    /// Pings without a pong.
    pub pings: usize,
    /// Containers that are held.
    pub references: usize,
    /// Those of them that are being got again at an original server.
    pub regaining: usize,
    /// Answers to the server's calls that are remembered.
    pub remembered: usize,
    /// Their bytes.
    pub remembered_bytes: usize,
    /// Those of them that wait for a connection.
    pub unsent: usize,
}

impl Sizes {
    /// Pings that may be without a pong.
    pub const MOST_PINGS: usize = MAX_PINGS;
    /// Ids of given-up requests that may be kept.
    pub const MOST_GIVEN_UP: usize = MAX_GIVEN_UP;
    /// Answers to the server's calls that may be remembered.
    pub const MOST_REMEMBERED: usize = MAX_REMEMBERED;
    /// Their bytes.
    pub const MOST_REMEMBERED_BYTES: usize = MAX_REMEMBERED_BYTES;
}

impl Session {
    /// How much it keeps now.
    pub fn sizes(&self) -> Sizes {
        let (remembered, remembered_bytes, unsent) = self.back.sizes();
        Sizes {
            pending: self.queue.len(),
            in_flight: self.queue.in_flight(),
            given_up: self.queue.given_up(),
            pings: self.pings.len(),
            references: self.references.held.len(),
            regaining: self.references.regaining.len(),
            remembered,
            remembered_bytes,
            unsent,
        }
    }
}

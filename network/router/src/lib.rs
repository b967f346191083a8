//! A ROUTER that clients and agents connect to, on the zeromq crate's. None of its peers can hold up
//! the others or fill the memory by not reading: what waits for each is counted and bounded, and who
//! reads nothing for the write deadline is cut.

mod account;
mod listener;
mod outbound;
mod router;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use router::{Came, Router};

/// What a ROUTER keeps for peers that do not read, and for how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that may wait for one peer; one message more is always taken.
    pub peer_bytes: usize,
    /// Bytes that may wait for all peers: above it who has more than a little waiting is cut.
    pub all_bytes: usize,
    /// What is counted for that: ROUTERs that share it share the bytes.
    pub shared: Shared,
    /// Bytes from which on a peer is told of as slow.
    pub slow_bytes: usize,
    /// How long a peer for which something waits, here or in the kernel, may take no byte of it: the
    /// kernel closes its connection then (Linux's; others know no such deadline). A peer takes in steps:
    /// of a TCP segment, or of a 16th of what its kernel keeps for it.
    pub write_timeout: Duration,
}

/// Bytes that wait for the peers of one or more ROUTERs of a process.
#[derive(Debug, Clone, Default)]
pub struct Shared(pub(crate) Arc<AtomicUsize>);

impl Shared {
    /// How many they are now.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peer_bytes: 64 << 20,
            all_bytes: 256 << 20,
            shared: Shared::default(),
            slow_bytes: 32 << 20,
            write_timeout: Duration::from_secs(10),
        }
    }
}

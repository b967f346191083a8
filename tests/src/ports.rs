//! Free ports on loopback.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Result, bail};
use rand::RngExt;

/// Below the ports that systems hand out to outgoing connections, so that a program that is ended
/// for a moment finds its port free again.
const RANGE: Range<u16> = 10_000..20_000;

static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on and that no other test of this process was given.
pub(crate) fn free_port() -> Result<u16> {
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for _ in 0..1_000 {
        let port = rand::rng().random_range(RANGE);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port from {} to {}", RANGE.start, RANGE.end)
}

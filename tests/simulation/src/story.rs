//! What happened, in words, and a hash of all of it.

use std::time::Duration;

/// The story of a simulation. Told twice, it is the same, or the hash is not.
#[derive(Debug)]
pub(crate) struct Story {
    hash: u64,
    /// Nothing where nobody will read it: writing it takes most of the time.
    lines: Option<Vec<String>>,
    wires: bool,
}

impl Story {
    /// `told` keeps the lines, `wires` those about single messages as well.
    pub(crate) fn new(told: bool, wires: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: told.then(Vec::new),
            wires: told && wires,
        }
    }

    /// What counts for the hash (FNV-1a).
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn mix_time(&mut self, at: Duration) {
        self.hash = (self.hash ^ at.as_nanos() as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// A line: who did what.
    pub(crate) fn tell(&mut self, at: Duration, who: &str, what: impl FnOnce() -> String) {
        self.mix_time(at);
        self.mix(who.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9.4}  {who:<10} {}", at.as_secs_f64(), what()));
        }
    }

    /// A line about a message.
    pub(crate) fn wire(&mut self, at: Duration, who: &str, what: impl FnOnce() -> String) {
        if self.wires {
            self.tell(at, who, what);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

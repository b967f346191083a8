//! The only randomness of a simulation: numbers made of its seed, the same on every machine and with
//! every version of every crate (splitmix64).

use std::ops::Range;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, so that who draws more does not change what others draw.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of the range, which must not be empty.
    pub(crate) fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// An index of a list of that length, which must not be empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.of(0..length as u64) as usize
    }

    /// Whether something comes about that does so in that many of a hundred cases.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    /// One of a list; nothing of an empty one.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        (!list.is_empty()).then(|| &list[self.index(list.len())])
    }

    /// A time of so many ms, with a fraction.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.of(range.start * 1_000..range.end * 1_000))
    }

    /// A time that differs by so many ms at most.
    pub(crate) fn about(&mut self, at: Duration, ms: u64) -> Duration {
        let most = Duration::from_millis(ms);
        at.saturating_sub(most) + self.millis(0..2 * ms)
    }
}

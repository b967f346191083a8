//! What came lately, up to a number of things: each step takes the same short time.

use indexmap::{Equivalent, IndexMap};
use std::hash::Hash;

/// How many of the last are remembered at least; never twice as many and more.
const HALF: usize = 4_096;

/// The latest of what was noted: all of the last [`HALF`], none before twice as many.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    now: IndexMap<K, V>,
    before: IndexMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            now: IndexMap::new(),
            before: IndexMap::new(),
        }
    }
}

impl<K: Hash + Eq, V> Recent<K, V> {
    pub(crate) const MOST: usize = 2 * HALF;

    pub(crate) fn note(&mut self, key: K, value: V) {
        if self.now.len() == HALF {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(key, value);
    }

    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        self.now.get(key).or_else(|| self.before.get(key))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.now.len() + self.before.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_oldest_are_not() {
        let mut recent = Recent::default();
        for number in 0..3 * HALF + 1 {
            recent.note(number, number + 1);
            assert_eq!(recent.get(&number), Some(&(number + 1)));
            assert!(recent.get(&number.saturating_sub(HALF - 1)).is_some());
            assert!(recent.len() <= Recent::<usize, usize>::MOST);
        }
        assert_eq!(recent.get(&0), None);
        recent.clear();
        assert_eq!((recent.len(), recent.get(&(3 * HALF))), (0, None));
    }
}

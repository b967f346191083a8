//! What a counter's next answer may be: it tells what ran twice, and what was lost.

/// A counter that one client alone adds one to, and has one request under way at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    last: u64,
    /// How many increments may have run, or run yet, without an answer that says so.
    uncertain: u64,
    /// Whether those may have run in each life.
    idempotent: bool,
    lives: u64,
}

/// What an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The counter goes on.
    Next,
    /// It began anew: its container has another life.
    Anew,
    /// So many more increments ran than were sent.
    Twice(u64),
    /// Increments that were answered are not there any more.
    Lost,
}

impl Counter {
    /// One that was made, and has counted nothing.
    pub(crate) fn new(idempotent: bool) -> Self {
        Self {
            last: 0,
            uncertain: 0,
            idempotent,
            lives: 1,
        }
    }

    /// An increment failed; `may_have_run` by what its error says.
    pub(crate) fn failed(&mut self, may_have_run: bool) {
        // Of an idempotent one the error speaks of the last try alone.
        self.uncertain += u64::from(may_have_run || self.idempotent);
    }

    /// An increment was answered with the counter's value.
    pub(crate) fn answered(&mut self, value: u64) -> Told {
        let most = self.uncertain.saturating_add(1);
        let (told, uncertain) = match value.checked_sub(self.last) {
            Some(by) if (1..=most).contains(&by) => (Told::Next, most - by),
            _ if (1..=most).contains(&value) => {
                self.lives += 1;
                match self.idempotent {
                    true => (Told::Anew, self.uncertain),
                    false => (Told::Anew, most - value),
                }
            }
            Some(by) if by > most => (Told::Twice(by - most), 0),
            _ => (Told::Lost, self.uncertain),
        };
        self.last = value;
        self.uncertain = uncertain;
        told
    }

    /// How many lives its container has had, as far as the answers tell.
    pub(crate) fn lives(&self) -> u64 {
        self.lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(answers: &[u64]) -> Counter {
        let mut counter = Counter::new(false);
        for value in answers {
            counter.answered(*value);
        }
        counter
    }

    #[test]
    fn it_goes_on_or_begins_anew() {
        let mut counter = counter(&[1, 2, 3]);
        assert_eq!(counter.answered(4), Told::Next);
        counter.failed(true);
        counter.failed(true);
        counter.failed(false);
        assert_eq!(counter.answered(6), Told::Next, "one of the two ran");
        assert_eq!(counter.answered(8), Told::Next, "the other ran later");
        assert_eq!(counter.lives(), 1);
        assert_eq!(counter.answered(1), Told::Anew);
        assert_eq!(counter.lives(), 2);
        counter.failed(true);
        assert_eq!(counter.answered(2), Told::Next);
    }

    #[test]
    fn what_ran_twice_is_counted() {
        assert_eq!(counter(&[1, 2]).answered(4), Told::Twice(1));
        let mut one_uncertain = counter(&[1]);
        one_uncertain.failed(true);
        assert_eq!(one_uncertain.clone().answered(3), Told::Next);
        assert_eq!(one_uncertain.answered(6), Told::Twice(3));
        assert_eq!(one_uncertain.answered(7), Told::Next, "it is said once");
        let mut anew = counter(&[1, 2, 3, 1]);
        assert_eq!(anew.answered(3), Told::Twice(1));
    }

    #[test]
    fn what_is_known_not_to_have_run_must_not_have() {
        let mut counter = counter(&[1]);
        counter.failed(false);
        assert_eq!(counter.answered(3), Told::Twice(1));
    }

    #[test]
    fn what_was_lost_is_told() {
        assert_eq!(counter(&[1, 2, 3]).answered(3), Told::Lost);
        assert_eq!(counter(&[1, 2, 3, 4, 5]).answered(3), Told::Lost);
        assert_eq!(counter(&[1, 2]).answered(0), Told::Lost);
    }

    #[test]
    fn an_idempotent_one_may_have_run_in_each_life() {
        let mut counter = Counter::new(true);
        assert_eq!(counter.answered(1), Told::Next);
        counter.failed(false);
        assert_eq!(counter.answered(2), Told::Next);
        assert_eq!(counter.answered(2), Told::Anew, "it ran again in this life");
        assert_eq!(counter.answered(3), Told::Next);
        assert_eq!(counter.answered(5), Told::Next);
    }
}

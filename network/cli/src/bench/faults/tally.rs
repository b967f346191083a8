//! What became of requests, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_client::ErrorKind;
use serde::{Serialize, Serializer};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was answered.
    Answered {
        /// How long it took.
        took: Duration,
        /// Whether it was sent again meanwhile.
        resent: bool,
    },
    /// It failed.
    Failed(ErrorKind),
    /// Neither, long after its deadline.
    Endless,
}

/// What an error says of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It did not run, and may be sent again.
    NotRun,
    /// It may have run.
    Unknown,
    /// Something that no fault explains.
    Wrong,
}

impl Said {
    /// By the error's kind.
    pub(crate) fn by(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Busy
            | ErrorKind::Gone
            | ErrorKind::Interrupted
            | ErrorKind::NoSuitableAgent
            | ErrorKind::TimedOut => Self::NotRun,
            ErrorKind::OutcomeUnknown => Self::Unknown,
            _ => Self::Wrong,
        }
    }
}

/// What became of some requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    /// Requests that came to an end, and those that did not in time.
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    /// Of those answered, those that were sent again meanwhile.
    pub(crate) answered_after_resend: u64,
    /// Of those answered, those that took long.
    pub(crate) late: u64,
    /// By what their errors say of them.
    pub(crate) did_not_run: u64,
    pub(crate) outcome_unknown: u64,
    pub(crate) failed_wrongly: u64,
    /// All that failed, by the kind of the error.
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) without_end: u64,
    /// Increments that ran more often than they were sent.
    pub(crate) ran_twice: u64,
    /// Times that increments that had been answered were not there any more.
    pub(crate) lost: u64,
    /// The longest that a client was without an answer.
    #[serde(rename = "longestSilenceMs", serialize_with = "millis")]
    pub(crate) silence: Duration,
}

/// As whole milliseconds.
pub(crate) fn millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    time.as_millis().serialize(to)
}

impl Tally {
    /// Counts a request; an answer is late after `late`.
    pub(crate) fn add(&mut self, fate: Fate, late: Duration) {
        self.requests += 1;
        match fate {
            Fate::Answered { took, resent } => {
                self.answered += 1;
                self.answered_after_resend += u64::from(resent);
                self.late += u64::from(took > late);
            }
            Fate::Failed(kind) => {
                *self.failed.entry(format!("{kind:?}")).or_default() += 1;
                match Said::by(kind) {
                    Said::NotRun => self.did_not_run += 1,
                    Said::Unknown => self.outcome_unknown += 1,
                    Said::Wrong => self.failed_wrongly += 1,
                }
            }
            Fate::Endless => self.without_end += 1,
        }
    }

    /// Adds what became of others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.answered_after_resend += other.answered_after_resend;
        self.late += other.late;
        self.did_not_run += other.did_not_run;
        self.outcome_unknown += other.outcome_unknown;
        self.failed_wrongly += other.failed_wrongly;
        for (kind, count) in &other.failed {
            *self.failed.entry(kind.clone()).or_default() += count;
        }
        self.without_end += other.without_end;
        self.ran_twice += other.ran_twice;
        self.lost += other.lost;
        self.silence = self.silence.max(other.silence);
    }

    /// What of it must not be, in words.
    pub(crate) fn broken(&self) -> Vec<String> {
        let wrongly = self.failed.iter().filter(|(kind, _)| {
            let known = ErrorKind::ALL
                .iter()
                .find(|known| format!("{known:?}") == **kind);
            known.is_none_or(|kind| Said::by(*kind) == Said::Wrong)
        });
        let wrongly: Vec<&str> = wrongly.map(|(kind, _)| kind.as_str()).collect();
        let wrongly = format!("failed with {}", wrongly.join(", "));
        let mut broken = self.never();
        broken.extend(some(self.without_end, "came to no end"));
        broken.extend(some(self.failed_wrongly, &wrongly));
        broken
    }

    /// What of it must never be, whatever has gone wrong, in words.
    pub(crate) fn never(&self) -> Vec<String> {
        let all = [
            some(self.ran_twice, "ran twice"),
            some(self.lost, "were answered and lost"),
        ];
        all.into_iter().flatten().collect()
    }
}

fn some(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(1);

    fn answered(millis: u64, resent: bool) -> Fate {
        let took = Duration::from_millis(millis);
        Fate::Answered { took, resent }
    }

    fn tally(fates: &[Fate]) -> Tally {
        let mut tally = Tally::default();
        for fate in fates {
            tally.add(*fate, LATE);
        }
        tally
    }

    #[test]
    fn each_request_has_one_fate() {
        let tally = tally(&[
            answered(1, false),
            answered(1_000, true),
            answered(1_001, false),
            Fate::Failed(ErrorKind::TimedOut),
            Fate::Failed(ErrorKind::Gone),
            Fate::Failed(ErrorKind::Gone),
            Fate::Failed(ErrorKind::OutcomeUnknown),
            Fate::Failed(ErrorKind::Protocol),
            Fate::Endless,
        ]);
        assert_eq!(tally.requests, 9);
        assert_eq!((tally.answered, tally.answered_after_resend), (3, 1));
        assert_eq!(tally.late, 1, "one second is not late yet");
        assert_eq!((tally.did_not_run, tally.outcome_unknown), (3, 1));
        assert_eq!((tally.failed_wrongly, tally.without_end), (1, 1));
        assert_eq!(tally.failed["Gone"], 2);
        let ended = tally.answered + tally.failed.values().sum::<u64>() + tally.without_end;
        assert_eq!(ended, tally.requests);
    }

    #[test]
    fn every_error_is_told_of() {
        for kind in ErrorKind::ALL {
            let tally = tally(&[Fate::Failed(*kind)]);
            let classes = tally.did_not_run + tally.outcome_unknown + tally.failed_wrongly;
            assert_eq!(classes, 1, "{kind:?}");
            let explained = !matches!(Said::by(*kind), Said::Wrong);
            assert_eq!(tally.broken().is_empty(), explained, "{kind:?}");
        }
    }

    #[test]
    fn what_says_that_it_did_not_run_is_what_the_client_crate_says() {
        use huly_client::{Error, Operation};
        for kind in ErrorKind::ALL {
            let error = Error::new(*kind, "").of(Operation::Request);
            let may_try_again = error.is_retryable() || *kind == ErrorKind::Gone;
            assert_eq!(may_try_again, Said::by(*kind) == Said::NotRun, "{kind:?}");
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        assert!(tally(&[answered(1, true)]).broken().is_empty());
        let mut wrong = tally(&[Fate::Endless, Fate::Failed(ErrorKind::Protocol)]);
        wrong.ran_twice = 2;
        wrong.lost = 1;
        let expected = [
            "2 ran twice",
            "1 were answered and lost",
            "1 came to no end",
            "1 failed with Protocol",
        ];
        assert_eq!(wrong.broken(), expected);
    }

    #[test]
    fn tallies_are_summed_up() {
        let mut one = tally(&[answered(1, false), Fate::Failed(ErrorKind::Busy)]);
        one.silence = Duration::from_secs(3);
        let mut two = tally(&[answered(2_000, true), Fate::Failed(ErrorKind::Busy)]);
        two.silence = Duration::from_secs(2);
        let mut both = one.clone();
        both.merge(&two);
        let mut expected = tally(&[
            answered(1, false),
            Fate::Failed(ErrorKind::Busy),
            answered(2_000, true),
            Fate::Failed(ErrorKind::Busy),
        ]);
        expected.silence = Duration::from_secs(3);
        assert_eq!(both, expected);
    }
}

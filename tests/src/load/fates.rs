//! What became of requests, summed up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use huly_client::{Error, ErrorKind};

/// How long past its deadline a call of a busy machine may come back.
const LATE: Duration = Duration::from_secs(5);

/// What became of the requests of a load.
#[derive(Debug, Default, Clone)]
pub struct Fates {
    /// How many were answered, by what was asked: `routed`, `direct`, both also `patiently`, `get`,
    /// `visit`, `release`.
    pub answered: BTreeMap<&'static str, u64>,
    /// How many were not, by what was asked and the kind of error.
    pub failed: BTreeMap<(&'static str, String), u64>,
    /// The longest that a room went without an answer, by the way there.
    pub silence: BTreeMap<&'static str, Duration>,
    /// How many rooms did not live on: they are in a later life than at the beginning.
    pub restarted: usize,
    /// How many answers more patient clients missed than their rooms were placed again.
    pub in_vain: u64,
}

impl Fates {
    /// Notes what became of one call.
    ///
    /// # Errors
    /// When it came back too late, or with an error that does not fit.
    pub(super) fn note<T>(
        &mut self,
        asked: &'static str,
        outcome: &Result<T, Error>,
        took: Duration,
        deadline: Duration,
    ) -> Result<()> {
        ensure!(
            took < deadline + LATE,
            "a {asked} came back after {took:?}, its deadline was {deadline:?}"
        );
        match outcome {
            Ok(_) => *self.answered.entry(asked).or_default() += 1,
            Err(error) => {
                ensure!(fits(error), "a {asked} failed as none should: {error:?}");
                let why = (asked, format!("{:?}", error.kind));
                *self.failed.entry(why).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Notes how long a room went without an answer.
    pub(super) fn was_silent(&mut self, way: &'static str, silence: Duration) {
        let longest = self.silence.entry(way).or_default();
        *longest = silence.max(*longest);
    }

    /// Sums up those of a patient client, whose room was placed again so often. Who waits for its
    /// answers has one request under way that can be lost with its room.
    pub(super) fn waited_in_vain(&mut self, failovers: u32) {
        let failed: u64 = self.failed.values().sum();
        self.in_vain = failed.saturating_sub(failovers.into());
    }

    /// Those of both.
    pub(super) fn add(&mut self, other: Self) {
        for (asked, count) in other.answered {
            *self.answered.entry(asked).or_default() += count;
        }
        for (why, count) in other.failed {
            *self.failed.entry(why).or_default() += count;
        }
        for (way, silence) in other.silence {
            self.was_silent(way, silence);
        }
        self.restarted += other.restarted;
        self.in_vain += other.in_vain;
    }

    /// Expects no room to have been without an answer for so long.
    ///
    /// # Errors
    /// When one was.
    pub fn within(&self, silence: Duration) -> Result<()> {
        let longest = self.silence.values().max().copied().unwrap_or_default();
        ensure!(longest < silence, "no answer for {longest:?}: {self}");
        Ok(())
    }

    /// Expects no patient client to have missed more than one answer for each time that its room was
    /// placed again.
    ///
    /// # Errors
    /// When one has.
    pub fn one_lost_a_life(&self) -> Result<()> {
        ensure!(self.in_vain == 0, "lost without a need: {self}");
        Ok(())
    }

    /// Expects every room to be in the life that it was in at the beginning.
    ///
    /// # Errors
    /// When one is not.
    pub fn nothing_restarted(&self) -> Result<()> {
        ensure!(self.restarted == 0, "rooms began anew: {self}");
        Ok(())
    }
}

/// Whether something that a healthy user does may fail so while programs are killed and cut off.
fn fits(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Busy
            | ErrorKind::Gone
            | ErrorKind::Interrupted
            | ErrorKind::NoSuitableAgent
            | ErrorKind::OutcomeUnknown
            | ErrorKind::TimedOut
    )
}

impl fmt::Display for Fates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "answered {:?}", self.answered)?;
        for ((asked, kind), count) in &self.failed {
            write!(out, ", {asked} {kind}: {count}")?;
        }
        write!(
            out,
            ", silence {:?}, restarted {}, in vain {}",
            self.silence, self.restarted, self.in_vain
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed(kind: ErrorKind) -> Result<(), Error> {
        Err(Error::new(kind, "so"))
    }

    #[test]
    fn fates_are_summed_up() -> Result<()> {
        let mut fates = Fates::default();
        fates.note("get", &Ok(()), SECOND, SECOND)?;
        fates.note("get", &failed(ErrorKind::Busy), SECOND, SECOND)?;
        fates.was_silent("routed", SECOND);
        let mut both = fates.clone();
        both.was_silent("direct", SECOND * 2);
        both.add(fates);
        assert_eq!(both.answered["get"], 2);
        assert_eq!(both.failed[&("get", "Busy".to_owned())], 2);
        assert!(both.within(SECOND * 2).is_err());
        both.within(SECOND * 3)?;
        both.nothing_restarted()
    }

    #[test]
    fn who_waits_loses_one_answer_a_life() -> Result<()> {
        let mut all = Fates::default();
        for (failovers, in_vain) in [(2, 0), (1, 1), (3, 1)] {
            let mut one = Fates::default();
            for _ in 0..2 {
                one.note("room", &failed(ErrorKind::Busy), SECOND, SECOND)?;
            }
            one.waited_in_vain(failovers);
            all.add(one);
            assert_eq!(all.in_vain, in_vain);
            assert_eq!(all.one_lost_a_life().is_ok(), in_vain == 0);
        }
        Ok(())
    }

    #[test]
    fn what_must_not_be_does_not_go_unnoticed() {
        for (what, outcome, took) in [
            ("late", Ok(()), SECOND * 7),
            ("unknown", failed(ErrorKind::NoSuchContainer), SECOND),
            ("its own error", failed(ErrorKind::Failed), SECOND),
        ] {
            let noted = Fates::default().note("get", &outcome, took, SECOND);
            assert!(noted.is_err(), "{what}");
        }
    }
}

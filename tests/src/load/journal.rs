//! What was said in a room, and whether what the room says of it fits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use huly_client::{Error, ErrorKind};

/// The messages that clients have said in one room, under numbers that they count. The room counts
/// what it runs, in each of its lives from 1: the place of a message.
#[derive(Debug, Default)]
pub(super) struct Journal {
    said: BTreeMap<u64, Said>,
}

#[derive(Debug)]
struct Said {
    sent: Instant,
    fate: Fate,
    /// Where it was seen to have run.
    place: Option<u64>,
}

#[derive(Debug, PartialEq)]
enum Fate {
    UnderWay,
    Answered(Instant),
    /// It may have run.
    Unknown,
    /// The network says that it did not run.
    NotRun,
}

impl Journal {
    /// Notes a message that is sent now, and says its number.
    pub(super) fn say(&mut self, now: Instant) -> u64 {
        let number = self.said.last_key_value().map_or(1, |(last, _)| last + 1);
        let said = Said {
            sent: now,
            fate: Fate::UnderWay,
            place: None,
        };
        self.said.insert(number, said);
        number
    }

    /// When it was sent.
    ///
    /// # Errors
    /// When it was not.
    pub(super) fn sent(&self, number: u64) -> Result<Instant> {
        Ok(self.of(number)?.sent)
    }

    /// Notes what became of it: its place, or an error.
    ///
    /// # Errors
    /// When it ran somewhere else, too, or did not run according to the error.
    pub(super) fn came_to(
        &mut self,
        number: u64,
        outcome: &Result<u64, Error>,
        now: Instant,
    ) -> Result<()> {
        let said = self.of_mut(number)?;
        said.fate = match outcome {
            Ok(_) => Fate::Answered(now),
            Err(error) if error.kind == ErrorKind::OutcomeUnknown => Fate::Unknown,
            Err(_) => Fate::NotRun,
        };
        if let (Fate::NotRun, Some(place), Err(error)) = (&said.fate, said.place, outcome) {
            bail!("message {number} ran, at {place}, and failed: {error:?}");
        }
        match outcome {
            Ok(place) => self.ran(number, *place),
            Err(_) => Ok(()),
        }
    }

    /// Notes that the room says that it has run a message.
    ///
    /// # Errors
    /// When it ran twice, should not have run, or was never said.
    pub(super) fn ran(&mut self, number: u64, place: u64) -> Result<()> {
        let said = self.of_mut(number)?;
        ensure!(
            said.fate != Fate::NotRun,
            "message {number} ran, at {place}, and the network said that it did not"
        );
        let before = *said.place.get_or_insert(place);
        ensure!(
            before == place,
            "message {number} ran twice, at {before} and at {place}"
        );
        Ok(())
    }

    /// Compares it with what the room remembers of its present life: places and numbers, the last
    /// ones of all. `same` says that it is the life that it was in at the first message.
    ///
    /// # Errors
    /// When a message was answered and is lost, one life answered after a later one, or the room
    /// remembers what does not fit.
    pub(super) fn compare(mut self, history: &[(u64, u64)], same: bool) -> Result<()> {
        let (first, _) = *history.first().context("the room remembers nothing")?;
        for ((place, number), expected) in history.iter().zip(first..) {
            ensure!(*place == expected, "the room skips from {place}");
            self.ran(*number, *place)?;
        }
        let numbers: BTreeSet<u64> = history.iter().map(|(_, number)| *number).collect();
        let remembered = |number: &u64| numbers.contains(number);
        // From when on this life is known to have been the one that answers.
        let mut began = None;
        for (number, said) in &self.said {
            match said.fate {
                Fate::Answered(at) if remembered(number) => {
                    began = Some(began.map_or(at, |began: Instant| began.min(at)));
                }
                Fate::UnderWay => bail!("message {number} was not answered and did not fail"),
                _ => {}
            }
        }
        let began = began.context("the present life has answered nothing")?;
        for (number, said) in &self.said {
            // What the room does not remember for its age may have been of this life.
            let old = said.place.is_some_and(|place| place < first);
            let answered = matches!(said.fate, Fate::Answered(_));
            if answered && !remembered(number) && !old {
                ensure!(
                    !same && said.sent <= began,
                    "message {number} was answered with its place {:?} and is lost: {} remembered from {first}",
                    said.place,
                    history.len()
                );
            }
        }
        Ok(())
    }

    fn of(&self, number: u64) -> Result<&Said> {
        let said = self.said.get(&number);
        said.with_context(|| format!("message {number} was never said"))
    }

    fn of_mut(&mut self, number: u64) -> Result<&mut Said> {
        let said = self.said.get_mut(&number);
        said.with_context(|| format!("message {number} was never said"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A message is sent and comes to this: its place, or an error.
    type Told = Result<u64, ErrorKind>;

    const LOST: Told = Err(ErrorKind::OutcomeUnknown);
    const LATE: Told = Err(ErrorKind::TimedOut);

    /// One after the other, each answered before the next is sent.
    fn journal(told: &[Told]) -> Result<Journal> {
        let mut journal = Journal::default();
        let mut now = Instant::now();
        for outcome in told {
            let number = journal.say(now);
            now += Duration::from_millis(1);
            let outcome = outcome.map_err(|kind| Error::new(kind, "so"));
            journal.came_to(number, &outcome, now)?;
            now += Duration::from_millis(1);
        }
        Ok(journal)
    }

    #[test]
    fn what_happened_fits() -> Result<()> {
        let whole = [(1, 1), (2, 2), (3, 3)];
        journal(&[Ok(1), Ok(2), Ok(3)])?.compare(&whole, true)?;
        // What was not answered ran or did not.
        journal(&[Ok(1), LOST, Ok(3)])?.compare(&whole, true)?;
        journal(&[Ok(1), LOST, Ok(2)])?.compare(&[(1, 1), (2, 3)], true)?;
        journal(&[Ok(1), LATE, Ok(2)])?.compare(&[(1, 1), (2, 3)], true)?;
        // A later life begins with its own.
        journal(&[Ok(1), Ok(2), LOST, Ok(1)])?.compare(&[(1, 4)], false)?;
        // The room forgets what is old.
        journal(&[Ok(1), Ok(2), Ok(3)])?.compare(&whole[1..], true)
    }

    #[test]
    fn what_does_not_fit_is_noticed() -> Result<()> {
        for (what, told, history, same) in [
            (
                "lost",
                vec![Ok(1), Ok(2), Ok(2)],
                vec![(1, 1), (2, 3)],
                false,
            ),
            ("lost at first", vec![Ok(1), Ok(1)], vec![(1, 2)], true),
            (
                "ran twice",
                vec![Ok(1), Ok(3)],
                vec![(1, 1), (2, 1), (3, 2)],
                true,
            ),
            (
                "ran in two lives",
                vec![Ok(7), Ok(2)],
                vec![(1, 1), (2, 2)],
                false,
            ),
            (
                "ran though it did not",
                vec![LATE, Ok(2)],
                vec![(1, 1), (2, 2)],
                true,
            ),
            (
                "an older life again",
                vec![Ok(1), Ok(1), Ok(2)],
                vec![(1, 2)],
                false,
            ),
            (
                "a wrong place",
                vec![Ok(2), Ok(1)],
                vec![(1, 1), (2, 2)],
                true,
            ),
            ("never said", vec![Ok(1)], vec![(1, 1), (2, 2)], true),
            ("nothing", vec![Ok(1)], vec![], true),
            ("a gap", vec![Ok(1), Ok(3)], vec![(1, 1), (3, 2)], true),
        ] {
            assert!(journal(&told)?.compare(&history, same).is_err(), "{what}");
        }
        Ok(())
    }

    #[test]
    fn an_event_of_what_did_not_run_is_noticed() -> Result<()> {
        let mut late = journal(&[Ok(1), LATE])?;
        assert!(late.ran(2, 2).is_err());
        let mut heard = Journal::default();
        let number = heard.say(Instant::now());
        heard.ran(number, 1)?;
        let late = Err(Error::new(ErrorKind::TimedOut, "late"));
        assert!(heard.came_to(number, &late, Instant::now()).is_err());
        Ok(())
    }
}

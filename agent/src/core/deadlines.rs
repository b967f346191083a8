use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Deadline;
use super::types::{CallNumber, Run, Token};

impl Deadline {
    /// Whether there is one such: it is that of one container or call, or of the next registration.
    fn is_of_one(self) -> bool {
        matches!(
            self,
            Self::Start(_)
                | Self::Stop(_)
                | Self::Hold(_)
                | Self::HeldStart(_)
                | Self::Ping(_)
                | Self::Register
        )
    }
}

/// What has to be looked at when its time has come.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    due: BTreeSet<(Duration, Deadline)>,
    /// When those are due of which there is one.
    at: BTreeMap<Deadline, Duration>,
}

impl Deadlines {
    /// One of a container or a call takes the place of the same before.
    pub(super) fn insert(&mut self, (at, deadline): (Duration, Deadline)) {
        if deadline.is_of_one()
            && let Some(before) = self.at.insert(deadline, at)
        {
            self.due.remove(&(before, deadline));
        }
        self.due.insert((at, deadline));
    }

    /// The next registration is not later than that. A later one than is due already is the same:
    /// were it to take that one's place, one reason after the other would put it off.
    pub(super) fn register_by(&mut self, at: Duration) {
        let due = self.at.get(&Deadline::Register);
        if due.is_none_or(|due| at < *due) {
            self.insert((at, Deadline::Register));
        }
    }

    /// Whether a registration is due.
    pub(super) fn registers(&self) -> bool {
        self.at.contains_key(&Deadline::Register)
    }

    /// A registration was sent: it says all that there is to say.
    pub(super) fn has_registered(&mut self) {
        self.remove(Deadline::Register);
    }

    pub(super) fn first(&self) -> Option<&(Duration, Deadline)> {
        self.due.first()
    }

    pub(super) fn pop_first(&mut self) {
        if let Some((_, deadline)) = self.due.pop_first() {
            self.at.remove(&deadline);
        }
    }

    fn remove(&mut self, deadline: Deadline) {
        if let Some(at) = self.at.remove(&deadline) {
            self.due.remove(&(at, deadline));
        }
    }

    /// A container has ended.
    pub(super) fn ended(&mut self, run: Run) {
        for deadline in [
            Deadline::Start(run),
            Deadline::Stop(run),
            Deadline::Ping(run),
        ] {
            self.remove(deadline);
        }
    }

    /// A request waits no more.
    pub(super) fn waits_no_more(&mut self, call: CallNumber) {
        self.remove(Deadline::Hold(call));
    }

    /// A start that was held goes on, or is answered.
    pub(super) fn held_no_more(&mut self, start: Token) {
        self.remove(Deadline::HeldStart(start));
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_has_no_deadline() {
        let at = Duration::from_secs;
        let mut deadlines = Deadlines::default();
        let (run, call) = (Run(1), CallNumber(1));
        deadlines.insert((at(30), Deadline::Start(run)));
        deadlines.insert((at(40), Deadline::Stop(run)));
        deadlines.insert((at(50), Deadline::Stop(run)));
        deadlines.insert((at(30), Deadline::Hold(call)));
        deadlines.insert((at(1), Deadline::Drain));
        deadlines.insert((at(2), Deadline::Drained));
        assert_eq!(deadlines.len(), 5);
        deadlines.ended(run);
        deadlines.waits_no_more(call);
        assert_eq!(deadlines.len(), 2);
        assert_eq!(deadlines.first(), Some(&(at(1), Deadline::Drain)));
        deadlines.pop_first();
        assert_eq!(deadlines.first(), Some(&(at(2), Deadline::Drained)));
    }

    #[test]
    fn the_next_registration_is_one_and_the_soonest() {
        let at = Duration::from_secs;
        let mut deadlines = Deadlines::default();
        for (asked, due) in [(5, 5), (7, 5), (3, 3), (4, 3)] {
            deadlines.register_by(at(asked));
            assert_eq!(deadlines.first(), Some(&(at(due), Deadline::Register)));
            assert_eq!(deadlines.len(), 1);
        }
        deadlines.has_registered();
        assert!(!deadlines.registers());
        assert_eq!(deadlines.len(), 0);
        deadlines.register_by(at(9));
        assert!(deadlines.registers());
        deadlines.pop_first();
        assert!(!deadlines.registers(), "it is made now");
    }
}

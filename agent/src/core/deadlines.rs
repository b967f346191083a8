use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Deadline;
use super::types::{CallNumber, Run, Token};

impl Deadline {
    /// Whether it is that of one container or call, which has one such.
    fn is_of_one(self) -> bool {
        matches!(
            self,
            Self::Start(_) | Self::Stop(_) | Self::Hold(_) | Self::HeldStart(_) | Self::Ping(_)
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
        deadlines.insert((at(1), Deadline::Register));
        deadlines.insert((at(2), Deadline::Register));
        assert_eq!(deadlines.len(), 5);
        deadlines.ended(run);
        deadlines.waits_no_more(call);
        assert_eq!(deadlines.len(), 2);
        assert_eq!(deadlines.first(), Some(&(at(1), Deadline::Register)));
        deadlines.pop_first();
        assert_eq!(deadlines.first(), Some(&(at(2), Deadline::Register)));
    }
}

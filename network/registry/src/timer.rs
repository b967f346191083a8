use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::registry::Id;

/// What is to be looked at when a time comes: whoever is woken checks whether there is still something
/// to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The server has heard from everybody it may expect after its start.
    Settled,
    /// A client may have been silent for too long.
    Alive(Id),
    /// The connection of a client that serves agents closed a grace ago.
    Grace(Id),
    /// A container may have been without references for its idle time.
    Idle(Id),
    /// An agent may be told again to end a container.
    Stop(Id),
    /// A container may be placed, another try.
    Place(Id),
    /// No other life of a container can accept requests any more.
    Fence(Id),
    /// A call to an agent may have taken too long.
    Call(u64),
    /// Calls held for a container may have waited too long.
    Hold(Id),
    /// TypeScript clients are due a batch of events.
    Events,
}

/// Times and what is due then. Of each timer there is one, at the earliest of the times that it was
/// set to: whoever looks too early sets it anew.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Duration, Timer)>,
    /// When each is due, but for those of calls, which know that themselves.
    at: BTreeMap<Timer, Duration>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, timer: Timer) {
        if let Some(before) = self.at.get(&timer).copied() {
            if before <= at {
                return;
            }
            self.due.remove(&(before, timer.clone()));
        }
        self.at.insert(timer.clone(), at);
        self.due.insert((at, timer));
    }

    pub(crate) fn unset(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.at.remove_entry(timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// Sets a call's timer: it is set once.
    pub(crate) fn set_call(&mut self, at: Duration, call: u64) {
        self.due.insert((at, Timer::Call(call)));
    }

    pub(crate) fn unset_call(&mut self, at: Duration, call: u64) {
        self.due.remove(&(at, Timer::Call(call)));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_timer_there_is_one_at_its_earliest_time() {
        let at = Duration::from_secs;
        let mut timers = Timers::default();
        let (hold, idle) = (Timer::Hold("u".into()), Timer::Idle("u".into()));
        for time in [5, 3, 4] {
            timers.set(at(time), hold.clone());
            timers.set(at(time), idle.clone());
        }
        timers.set_call(at(3), 7);
        assert_eq!((timers.len(), timers.next()), (3, Some(at(3))));
        timers.unset(&idle);
        timers.unset_call(at(3), 7);
        assert_eq!(timers.due(at(2)), None);
        assert_eq!(timers.due(at(3)), Some(hold.clone()));
        assert_eq!((timers.len(), timers.next()), (0, None));
        timers.set(at(9), hold);
        assert_eq!(timers.next(), Some(at(9)), "set anew");
    }
}

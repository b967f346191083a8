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
    /// The next chunk of a client's registration may not have come in time.
    Chunks(Id),
    /// TypeScript clients are due a batch of events.
    Events,
    /// The server is to see that it runs.
    Pulse,
}

impl Timer {
    /// Whether what is looked at is that something has not come: it may wait to be read.
    fn is_of_silence(&self) -> bool {
        match self {
            Self::Settled | Self::Alive(_) | Self::Grace(_) | Self::Call(_) | Self::Chunks(_) => {
                true
            }
            // Who wants it, or has it, may have said so.
            Self::Idle(_) | Self::Fence(_) => true,
            Self::Stop(_) | Self::Place(_) | Self::Hold(_) | Self::Events | Self::Pulse => false,
        }
    }
}

/// Times and what is due then. Of each timer there is one, at the earliest of the times that it was
/// set to: whoever looks too early sets it anew.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Duration, Timer)>,
    /// The same of those at which it is asked whether something has not come.
    silences: BTreeSet<(Duration, Timer)>,
    /// When each is due, but for those of calls, which know that themselves.
    at: BTreeMap<Timer, Duration>,
}

impl Timers {
    fn of(&mut self, timer: &Timer) -> &mut BTreeSet<(Duration, Timer)> {
        match timer.is_of_silence() {
            true => &mut self.silences,
            false => &mut self.due,
        }
    }

    pub(crate) fn set(&mut self, at: Duration, timer: Timer) {
        if let Some(before) = self.at.get(&timer).copied() {
            if before <= at {
                return;
            }
            self.of(&timer).remove(&(before, timer.clone()));
        }
        self.at.insert(timer.clone(), at);
        self.of(&timer).insert((at, timer));
    }

    pub(crate) fn unset(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.at.remove_entry(timer) {
            self.of(&timer).remove(&(at, timer));
        }
    }

    /// Whether one is set that is not of a call.
    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.at.contains_key(timer)
    }

    /// Sets a call's timer: it is set once.
    pub(crate) fn set_call(&mut self, at: Duration, call: u64) {
        self.silences.insert((at, Timer::Call(call)));
    }

    pub(crate) fn unset_call(&mut self, at: Duration, call: u64) {
        self.silences.remove(&(at, Timer::Call(call)));
    }

    /// When the next is due that is not of silence.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn next_silence(&self) -> Option<Duration> {
        self.silences.first().map(|(at, _)| *at)
    }

    /// Takes the next that is due, of silence only if it was due by then.
    pub(crate) fn due(&mut self, now: Duration, of_silence: Duration) -> Option<Timer> {
        let first = |timers: &mut BTreeSet<(Duration, Timer)>, by: Duration| {
            let due = timers.first().is_some_and(|(at, _)| *at <= by);
            due.then(|| timers.pop_first()).flatten()
        };
        let next = first(&mut self.due, now).or_else(|| first(&mut self.silences, of_silence));
        let (_, timer) = next?;
        self.at.remove(&timer);
        Some(timer)
    }

    /// Has all those of silence look so much later.
    pub(crate) fn delay_silences(&mut self, by: Duration) {
        let delayed = std::mem::take(&mut self.silences).into_iter();
        self.silences = delayed.map(|(at, timer)| (at + by, timer)).collect();
        for (timer, at) in &mut self.at {
            if timer.is_of_silence() {
                *at += by;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len() + self.silences.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_timer_there_is_one_at_its_earliest_time() {
        let at = Duration::from_secs;
        let mut timers = Timers::default();
        let (hold, place) = (Timer::Hold("u".into()), Timer::Place("u".into()));
        for time in [5, 3, 4] {
            timers.set(at(time), hold.clone());
            timers.set(at(time), place.clone());
        }
        timers.set_call(at(3), 7);
        assert_eq!((timers.len(), timers.next()), (3, Some(at(3))));
        timers.unset(&place);
        timers.unset_call(at(3), 7);
        assert_eq!(timers.due(at(2), at(2)), None);
        assert_eq!(timers.due(at(3), at(2)), Some(hold.clone()));
        assert_eq!((timers.len(), timers.next()), (0, None));
        timers.set(at(9), hold);
        assert_eq!(timers.next(), Some(at(9)), "set anew");
    }

    #[test]
    fn those_of_silence_are_taken_apart() {
        let at = Duration::from_secs;
        let mut timers = Timers::default();
        let (alive, place) = (Timer::Alive("c".into()), Timer::Place("u".into()));
        timers.set(at(2), alive.clone());
        timers.set(at(1), alive.clone());
        timers.set_call(at(2), 7);
        timers.set(at(3), place.clone());
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.next_silence(), Some(at(1)));
        assert_eq!(timers.due(at(3), at(0)), Some(place));
        assert_eq!(timers.due(at(3), at(0)), None);
        timers.delay_silences(at(2));
        timers.set(at(4), alive.clone());
        assert_eq!(timers.due(at(3), at(2)), None);
        assert_eq!(timers.due(at(3), at(3)), Some(alive));
        assert_eq!(timers.due(at(4), at(4)), Some(Timer::Call(7)));
        assert_eq!(timers.len(), 0);
    }
}

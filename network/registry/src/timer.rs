use std::collections::BTreeSet;
use std::time::Duration;

use crate::registry::Id;

/// What is to be looked at when a time comes. Timers need not be taken back: whoever is woken checks
/// whether there is still something to do.
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
    /// A call to an agent may have taken too long.
    Call(u64),
    /// Calls held for a container may have waited too long.
    Hold(Id),
    /// The next chunk of a client's registration may not have come in time.
    Chunks(Id),
    /// TypeScript clients are due a batch of events.
    Events,
}

/// Times and what is due then.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Duration, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// Takes back one of which there are many: they would pile up.
    pub(crate) fn unset(&mut self, at: Duration, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(crate) fn due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}

//! Whose silence is one: not while this process does not run, nor while what was said may wait to be
//! read.

use std::time::Duration;

use crate::registry::Registry;
use crate::timer::Timer;

/// How often the registry wants to be called at least, to see that its process runs.
const PULSE: Duration = Duration::from_millis(250);
/// How much later than it wanted to be called means that the process did not run.
const NOTICED: Duration = Duration::from_millis(100);
/// How much later silence is one though there always are messages to be read: peers take turns, so
/// that one of each that has sent any is read by then.
const READ_BY_THEN: Duration = Duration::from_secs(1);

impl Registry {
    /// Sees that the process runs, while anybody may be silent.
    pub(crate) fn beat(&mut self) {
        if !self.settled || !self.sessions.is_empty() {
            self.timers.set(self.now.mono + PULSE, Timer::Pulse);
        }
    }

    /// A time in which the process itself was not running is nobody's silence, and their messages of
    /// that time are still to be read: connections that waited to be accepted among them.
    pub(crate) fn forgive_own_pause(&mut self) {
        let due = self.timers.next();
        let late = due.map_or(Duration::ZERO, |due| self.now.mono.saturating_sub(due));
        if late <= NOTICED {
            return;
        }
        self.listens_since = self.now.mono + PULSE;
        self.read_all = None;
        self.paused += late;
        for session in self.sessions.values_mut() {
            session.last_heard += late;
            session.closed_at = session.closed_at.map(|at| at + late);
            for begun in session.chunks.values_mut() {
                begun.until += late;
            }
        }
        for until in self
            .calls
            .values_mut()
            .filter_map(|call| call.until.as_mut())
        {
            *until += late;
        }
        self.timers.delay_silences(late);
        self.prolong_fences(late);
        if !self.settled {
            self.settles_at += late;
        }
    }

    /// By when silence had to be over, to be seen now.
    pub(crate) fn silence_until(&mut self, has_read_all: bool) -> Duration {
        let now = self.now.mono;
        let mut until = self.read_until.max(now.saturating_sub(READ_BY_THEN));
        if has_read_all && self.listens_since <= now {
            let read_all = *self.read_all.get_or_insert(now);
            if read_all + self.config.round <= now {
                until = until.max(read_all);
                self.read_all = Some(now);
            } else if self.timers.next_silence().is_some_and(|due| due > read_all) {
                // The time that is waited for had not come by then.
                self.read_all = Some(now);
            }
        }
        until
    }

    /// When it is to be looked whether the next silence is one.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let due = self.timers.next_silence()?.max(self.listens_since);
        let read_all = self.read_all.filter(|read_all| *read_all >= due);
        Some(read_all.map_or(due, |read_all| read_all + self.config.round))
    }
}

//! The agent leaves: it takes nothing new and ends its containers.

use std::collections::VecDeque;
use std::time::Duration;

use super::container::Reason;
use super::types::{Effect, Id, Run};
use super::{Agent, Deadline};

/// How long containers that are aborted may take to be gone. One that blocks its worker is not.
const ABORT_TIME: Duration = Duration::from_secs(1);

/// How far the leaving is.
#[derive(Debug, Default)]
pub(super) struct Drain {
    on: bool,
    done: bool,
    /// Containers to be ended. None joins them: the agent starts nothing any more.
    queue: VecDeque<Id>,
}

impl Drain {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }
}

impl Agent {
    pub(super) fn begin_drain(&mut self) {
        if std::mem::replace(&mut self.drain.on, true) {
            return;
        }
        self.drain.queue = self.containers.keys().cloned().collect();
        self.effect(Effect::AnnounceDrain);
        let late = self.now + self.config.drain_timeout;
        self.deadlines.insert((late, Deadline::Drain));
        self.go_on_draining(self.config.drain_at_once);
    }

    /// Ends so many more. Each end is reported by itself, so that the server places a container
    /// elsewhere while others still serve; a bounded number ends at once, for the machine's and the
    /// server's sake.
    pub(super) fn go_on_draining(&mut self, more: usize) {
        if !self.drain.on || self.drain.done {
            return;
        }
        if self.containers.is_empty() {
            return self.drained();
        }
        let mut begun = 0;
        while begun < more
            && let Some(uuid) = self.drain.queue.pop_front()
        {
            if self.containers.get(&uuid).is_some_and(|c| !c.is_stopping()) {
                self.stop(&uuid, Reason::Drain, None);
                begun += 1;
            }
        }
    }

    /// What has not ended by now is aborted: whoever ends the process would not wait either, and
    /// the server places it sooner when it is told.
    pub(super) fn drain_is_late(&mut self) {
        if self.drain.done {
            return;
        }
        self.drain.queue.clear();
        let all: Vec<(Run, Id)> = self.runs.iter().map(|(r, u)| (*r, u.clone())).collect();
        let containers = all.len();
        self.effect(Effect::DrainIsLate { containers });
        for (run, uuid) in all {
            self.stop(&uuid, Reason::Drain, None);
            self.effect(Effect::Abort { run });
        }
        let over = self.now + ABORT_TIME;
        self.deadlines.insert((over, Deadline::Drained));
    }

    pub(super) fn drained(&mut self) {
        if !std::mem::replace(&mut self.drain.done, true) {
            self.effect(Effect::Drained);
        }
    }
}

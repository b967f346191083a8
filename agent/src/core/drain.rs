//! The agent leaves: it takes nothing new and ends its containers.

use std::collections::VecDeque;

use super::Agent;
use super::container::Reason;
use super::types::{Effect, Id};

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
            self.drain.done = true;
            self.effect(Effect::Drained);
            return;
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
}

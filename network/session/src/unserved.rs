//! Gets that no agent of an original server can serve now: tried again until their deadlines, for
//! such a server refuses them as well while its agents are still registering after its restart.

use std::time::Duration;

use huly_protocol::{AgentEvent, ErrorPayload, EventKind, NO_SUITABLE_AGENT};

use crate::answers::INTERNAL_RETRY;
use crate::pending::{Body, Key, Owner, Stage};
use crate::session::Session;

impl Session {
    /// Whether a refused request is a get that is to be tried again.
    pub(crate) fn is_unserved(&self, key: Key, error: &ErrorPayload) -> bool {
        !self.is_rust()
            && error.message.starts_with(NO_SUITABLE_AGENT)
            && self
                .queue
                .get(key)
                .is_some_and(|request| matches!(request.owner, Owner::Get { token: Some(_), .. }))
    }

    /// Tries it again in a while. At its deadline, its caller is told why it was refused.
    pub(crate) fn try_unserved_later(&mut self, now: Duration, key: Key, error: ErrorPayload) {
        let at = now + INTERNAL_RETRY + self.jitter.millis(0, 50);
        self.queue.stage(key, Stage::Retry { at });
        if let Some(request) = self.queue.get_mut(key) {
            // It brought nothing that is to be released.
            request.ever_sent = false;
            request.refused = Some(error);
        }
    }

    /// Tries those at once that an agent can serve which has just come (W25).
    pub(crate) fn agents_told(&mut self, agents: &[AgentEvent]) {
        for agent in agents {
            if agent.event != EventKind::Added {
                continue;
            }
            for key in self.queue.retrying() {
                let is_served = self.queue.get(key).is_some_and(|request| {
                    request.refused.is_some()
                        && matches!(&request.body, Body::Get(get) if agent.kinds.contains(&get.kind))
                });
                if is_served {
                    self.queue.stage(key, Stage::Queued);
                }
            }
        }
    }
}

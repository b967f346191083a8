//! Whether a request is handed on to an agent: what is at agents without an answer is bounded, for
//! each sender, for each container and in all.

use huly_protocol::{ErrorCode, ErrorPayload};

use crate::calls::{BackCall, CallKind};
use crate::registry::{Id, Registry};

/// Requests that are at agents, without an answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    calls: u32,
    bytes: usize,
}

impl Load {
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// Whether one of so many bytes more keeps to a bound; where there is none yet it always does.
    fn takes(self, bytes: usize, bound: usize) -> bool {
        self.calls == 0 || self.bytes.saturating_add(bytes) <= bound
    }

    fn add(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn remove(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Registry {
    /// Whether an agent is handed a request of so many bytes; else its sender is told `busy`.
    pub(crate) fn admit(
        &self,
        agent: &Id,
        uuid: &Id,
        client: &Id,
        bytes: usize,
    ) -> Result<(), ErrorPayload> {
        let config = &self.config;
        let limit = config.calls_per_container;
        let running = self.entries.get(uuid).map(|entry| entry.running);
        let running = running.unwrap_or_default();
        let asked = self.sessions.get(client).map(|session| session.asking);
        let message = if running.calls >= limit {
            format!("container {uuid} has {limit} requests without an answer")
        } else if !running.takes(bytes, config.container_bytes) {
            format!("container {uuid} has too many bytes of requests without an answer")
        } else if !asked.unwrap_or_default().takes(bytes, config.sender_bytes) {
            "this client has too many bytes of requests without an answer".to_owned()
        } else if !self.running.takes(bytes, config.call_bytes) {
            "the network has too many bytes of requests without an answer".to_owned()
        } else if !self.reads(agent) {
            format!("agent {agent} does not read what it is sent")
        } else {
            return Ok(());
        };
        Err(ErrorPayload::new(ErrorCode::Busy, message))
    }

    /// Whether what is sent to an agent gets through: what is its server's own goes out in any case.
    fn reads(&self, agent: &Id) -> bool {
        let served = self.agents.get(agent).map(|agent| &agent.client);
        let session = served.and_then(|client| self.sessions.get(client));
        session.is_some_and(|session| !session.slow && session.conn.is_some())
    }

    /// Counts a request that is at an agent from now on.
    pub(crate) fn charge(&mut self, number: u64, uuid: &Id, client: &Id, bytes: usize) {
        self.running.add(bytes);
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.carried_by.insert(number);
            entry.running.add(bytes);
        }
        if let Some(session) = self.sessions.get_mut(client) {
            session.asking.add(bytes);
        }
    }

    /// A request is not at an agent any more.
    pub(crate) fn discharge(&mut self, number: u64, call: &BackCall) {
        let CallKind::Request { uuid, client, .. } = &call.kind else {
            return;
        };
        let bytes = call.payload.len();
        self.running.remove(bytes);
        // Another entry of the same uuid has other requests.
        if let Some(entry) = self.entries.get_mut(uuid)
            && entry.carried_by.remove(&number)
        {
            entry.running.remove(bytes);
        }
        if let Some(session) = self.sessions.get_mut(client) {
            session.asking.remove(bytes);
        }
    }
}

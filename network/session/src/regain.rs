//! What is held at an original server, got again after its restart: one get each, until it is
//! answered. Requests for it wait, for the server knows it when its agent has registered.

use std::time::Duration;

use huly_protocol::{ContainerCall, GetParams, GetRequest, Json, method};

use crate::pending::{Body, Internal, Key, Stage};
use crate::session::Session;

impl Session {
    /// Gets everything that is held again. What ended there was not replaced, and nobody asked for
    /// another.
    pub(crate) fn regain_all(&mut self) {
        let held = self.references.held.iter();
        let living = held.filter(|(_, held)| !held.location.gone);
        for uuid in living.map(|(uuid, _)| uuid.clone()).collect::<Vec<_>>() {
            self.regain(&uuid);
        }
    }

    /// Gets one again. One that was gone too: its agent, which was away, has it still.
    pub(crate) fn regain(&mut self, uuid: &str) {
        if self.references.regaining.insert(uuid.to_owned()) {
            self.ask_regain(uuid);
        }
    }

    /// Asks for it, by its uuid, so that what is held stays the same container where it still lives.
    pub(crate) fn ask_regain(&mut self, uuid: &str) -> Option<Key> {
        if !self.references.regaining.contains(uuid) {
            return None;
        }
        let held = self.references.held.get(uuid)?;
        let params = GetParams {
            kind: held.kind.clone(),
            request: GetRequest {
                uuid: Some(uuid.to_owned()),
                ..held.request.clone()
            },
            huly: None,
        };
        let params = Json::of(&params).unwrap_or_else(|_| Json::null());
        Some(self.ask(Internal::Regain(uuid.to_owned()), method::GET, params))
    }

    /// Requests for a container wait no longer, whatever became of it.
    pub(crate) fn regained(&mut self, uuid: &str) {
        if self.references.regaining.shift_remove(uuid) {
            self.queue_held();
        }
    }

    /// No request waits for what is got again: it is another session.
    pub(crate) fn forget_regaining(&mut self) {
        self.references.regaining.clear();
        self.queue_held();
    }

    /// In the order in which they were made; who has to wait on is told so when its turn comes.
    fn queue_held(&mut self) {
        for key in self.queue.held() {
            self.queue.stage(key, Stage::Queued);
        }
    }

    /// Whether a request has to wait until its container is known at the server again.
    pub(crate) fn waits_for_regain(&self, key: Key) -> bool {
        if self.references.regaining.is_empty() {
            return false;
        }
        let Some(request) = self.queue.get(key).filter(|it| it.is_container_call()) else {
            return false;
        };
        let Body::Json(params) = &request.body else {
            return false;
        };
        serde_json::from_str::<ContainerCall<'_>>(params.text())
            .is_ok_and(|call| self.references.regaining.contains(call.uuid.as_ref()))
    }

    /// Whether an original server, which keeps its uuid, may have forgotten the client when it
    /// answered the last hello at `now`: it heard nothing of it for its time (W08).
    pub(crate) fn may_be_forgotten(&self, now: Duration) -> bool {
        now.saturating_sub(self.known_at) >= self.config.alive_timeout
    }
}

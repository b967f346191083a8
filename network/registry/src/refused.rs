//! Requests that an agent refuses, for it has no such container any more.

use huly_protocol::{AgentCall, ContainerCall, ErrorCode, ErrorPayload, Request};

use crate::calls::{BackCall, CallKind};
use crate::registry::Registry;
use crate::routed::Routed;

impl Registry {
    /// An agent answers a client's request with an error. One that did not run, for its container
    /// was about to end, waits for the container's next life if there is to be one.
    pub(crate) fn refused(&mut self, number: u64, call: BackCall, error: ErrorPayload) {
        let CallKind::Request {
            uuid,
            client,
            request,
            epoch,
            terms,
        } = &call.kind
        else {
            return;
        };
        let rust = self.agents.get(&call.agent).is_some_and(|one| one.rust);
        let refuses = matches!(error.code, Some(ErrorCode::Busy | ErrorCode::TimedOut));
        if !rust || !(did_not_run(&error) || refuses) {
            return self.respond_error(client, request, error);
        }
        if refuses && !call.resent {
            return self.respond_error(client, request, terms.refusal(error));
        }
        // The first answer may be lost, and the agent may have forgotten it.
        if call.resent {
            let message = format!(
                "outcome unknown: container {uuid} was asked before; now {}",
                error.message
            );
            let error = ErrorPayload::new(ErrorCode::OutcomeUnknown, message);
            return self.respond_error(client, request, error);
        }
        let wanted = self.entries.get(uuid).filter(|entry| entry.wanted());
        // A next life that is there already may have been asked later things: what was sent first
        // must not start after them. Its caller knows whether it has sent any.
        if wanted.is_some_and(|entry| entry.is_live() && entry.epoch != *epoch) {
            let message = format!(
                "container {uuid} has another life now, and the last one did not begin with the request"
            );
            let error = ErrorPayload::new(ErrorCode::Interrupted, message);
            return self.respond_error(client, request, terms.refusal(error));
        }
        let Some(asked) = wanted.and_then(|_| read(&call.payload)) else {
            return self.respond_error(client, request, terms.refusal(error));
        };
        let routed = Routed {
            client,
            request,
            operation: &asked.operation,
            data: asked.data,
            terms: terms.clone(),
        };
        // Numbers of calls grow: those that were refused wait in the order in which they came.
        if let Err(error) = self.hold_at(uuid.clone(), routed, number) {
            self.respond_error(client, request, terms.refusal(error));
        }
    }
}

/// Whether a Rust agent says by it that it handed the request to no container.
fn did_not_run(error: &ErrorPayload) -> bool {
    matches!(
        error.code,
        Some(ErrorCode::Gone | ErrorCode::Interrupted | ErrorCode::NoSuchContainer)
    )
}

/// What a call that this server made asks of the container.
fn read(payload: &[u8]) -> Option<ContainerCall<'_>> {
    let request = Request::read(payload).ok()?;
    let call: AgentCall<'_> = serde_json::from_str(request.params.get()).ok()?;
    serde_json::from_str(call.params.get()).ok()
}

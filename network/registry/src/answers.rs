//! Answers to clients, counted.

use huly_protocol::{ErrorCode, ErrorPayload, Frame, Op, method};

use crate::registry::{Id, Registry};
use crate::session::Flight;
use crate::stats::Counted;

/// After how many of its ticks a TypeScript client sends a get again: half a second (W29).
const GET_AGAIN: &str = "1";
impl Registry {
    /// Answers a request of a client. An answer to a request that is not in flight any more (its
    /// session was taken over) goes nowhere.
    pub(crate) fn respond(&mut self, client: &Id, request: &str, payload: impl Into<bytes::Bytes>) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let Some(flight) = session.in_flight.swap_remove(request) else {
            return;
        };
        session.note_answered(request);
        Counted::add(&mut self.counted.requests, (flight.method, "ok"));
        self.send_to_client(client, Frame::new(Op::Response, request, payload));
    }

    pub(crate) fn respond_error(&mut self, client: &Id, request: &str, error: ErrorPayload) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let Some(flight) = session.in_flight.swap_remove(request) else {
            return;
        };
        if self.sends_again(client, &flight, &error) {
            Counted::add(
                &mut self.counted.requests,
                (flight.method, code_text(error.code)),
            );
            return self.send_to_client(client, Frame::new(Op::Retry, request, GET_AGAIN));
        }
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        // What was not taken a TypeScript client sends again by itself.
        let busy = error.code == Some(ErrorCode::Busy);
        if busy && flight.method == method::CONTAINER_REQUEST && !session.is_rust() {
            Counted::add(&mut self.counted.requests, (flight.method, "busy"));
            return self.send_to_client(client, Frame::new(Op::Retry, request, "1"));
        }
        session.note_answered(request);
        self.send_error(client, request, flight.method, error);
    }

    /// Whether a client is to send a get once more instead of being told that it failed. A TypeScript
    /// one tries again by itself for ever (W15); but where it was told of a new agent of the kind while
    /// it waited, it does so only when it is told of another one. Of a kind that nobody serves it is.
    fn sends_again(&self, client: &Id, get: &Flight, error: &ErrorPayload) -> bool {
        let Some(kind) = get.kind.as_ref().filter(|_| !self.is_rust(client)) else {
            return false;
        };
        let for_now = !matches!(
            error.code,
            Some(ErrorCode::BadRequest | ErrorCode::OtherKind)
        );
        for_now && self.agents.values().any(|agent| agent.kinds.contains(kind))
    }

    /// A request whose caller does not wait for the answer any more.
    pub(crate) fn forget_request(&mut self, client: &Id, request: &str) {
        if let Some(session) = self.sessions.get_mut(client)
            && let Some(flight) = session.in_flight.swap_remove(request)
        {
            Counted::add(&mut self.counted.requests, (flight.method, "timedOut"));
        }
    }

    pub(crate) fn send_error(
        &mut self,
        client: &Id,
        request: &str,
        method: &'static str,
        error: ErrorPayload,
    ) {
        Counted::add(&mut self.counted.requests, (method, code_text(error.code)));
        let error = if self.is_rust(client) {
            error
        } else {
            error.plain()
        };
        self.send_to_client(
            client,
            Frame::new(Op::ResponseError, request, error.bytes()),
        );
    }
}

/// The code as it is on the wire; an error without one is the container's own.
fn code_text(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::BadRequest) => "badRequest",
        Some(ErrorCode::Busy) => "busy",
        Some(ErrorCode::Exhausted) => "exhausted",
        Some(ErrorCode::NoSuitableAgent) => "noSuitableAgent",
        Some(ErrorCode::NoSuchKind) => "noSuchKind",
        Some(ErrorCode::OtherKind) => "otherKind",
        Some(ErrorCode::NoSuchContainer) => "noSuchContainer",
        Some(ErrorCode::NoSuchAgent) => "noSuchAgent",
        Some(ErrorCode::NotAllowed) => "notAllowed",
        Some(ErrorCode::TimedOut) => "timedOut",
        Some(ErrorCode::Gone) => "gone",
        Some(ErrorCode::Interrupted) => "interrupted",
        Some(ErrorCode::OutcomeUnknown) => "outcomeUnknown",
        Some(ErrorCode::Superseded) => "superseded",
        Some(ErrorCode::Reentrant) => "reentrant",
        _ => "failed",
    }
}

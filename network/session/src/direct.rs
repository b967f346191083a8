//! Direct connections to containers: where one leads, following the container from agent to agent,
//! and requests that may take both routes, this and the one through the network server.

mod follow;
mod request;

use huly_protocol::{Endpoint, EndpointKind, ErrorCode};

use crate::io::CallError;
use crate::references::Location;

pub use follow::{FollowEffect, FollowInput, Follower};
pub use request::ContainerRequest;

/// Where a container is reached directly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectWay {
    /// Host and port.
    pub authority: String,
    /// The endpoint of a container that listens there itself: another one may have its port later,
    /// and a connection is to one of them. Nothing where an agent listens, for its containers.
    pub own: Option<String>,
}

impl DirectWay {
    /// The way to a container; nothing if it is gone or takes no direct connections.
    pub fn to(location: &Location) -> Option<Self> {
        if location.gone {
            return None;
        }
        let endpoint = Endpoint::parse(&location.endpoint).ok()?;
        let own = match endpoint.kind {
            EndpointKind::NoConnection => return None,
            EndpointKind::Routed => None,
            EndpointKind::Direct => Some(location.endpoint.clone()),
        };
        Some(Self {
            authority: endpoint.authority(),
            own,
        })
    }

    /// The uuid of the container that listens there itself, where its endpoint says it.
    pub fn container(&self) -> Option<String> {
        Endpoint::parse(self.own.as_ref()?).ok()?.uuid
    }

    /// Whether an agent listens there, for its containers; else the container itself.
    pub fn of_agent(&self) -> bool {
        self.own.is_none()
    }
}

/// Why something came to nothing over a direct connection, as far as it matters for what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// The connection was over before the answer: it may have been done.
    Interrupted,
    /// It was not done: there is no connection, or the container is not there.
    NotThere,
    /// The other side does not do that, and will not.
    Refused,
    /// Anything else: what is said of it is the answer.
    Other,
}

impl From<&CallError> for Setback {
    fn from(error: &CallError) -> Self {
        match (error, error.code()) {
            // Of what was not sent yet nobody says so.
            (CallError::Closed, _) => Self::Interrupted,
            (CallError::Protocol(_), _) => Self::Refused,
            (_, Some(ErrorCode::Interrupted)) => Self::Interrupted,
            (_, Some(ErrorCode::Gone | ErrorCode::NoSuchContainer)) => Self::NotThere,
            (_, Some(ErrorCode::NotAllowed | ErrorCode::BadRequest)) => Self::Refused,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use huly_protocol::ErrorPayload;

    use super::*;

    #[test]
    fn containers_that_had_one_port_in_turn_are_not_reached_by_one_connection() {
        let way = |uuid: &str, term: u64, kind: u8| {
            let endpoint = format!(
                r#"{{"kind":{kind},"host":"a","port":1,"agentId":"a","uuid":"{uuid}","epoch":[{term},1]}}"#
            );
            DirectWay::to(&Location {
                endpoint,
                ..Location::default()
            })
        };
        assert_eq!(way("u1", 1, 1), way("u1", 1, 1));
        assert_ne!(way("u1", 1, 1), way("u2", 1, 1));
        assert_ne!(way("u1", 1, 1), way("u1", 2, 1));
        let container = |kind| way("u1", 1, kind).and_then(|way| way.container());
        assert_eq!(container(1).as_deref(), Some("u1"));
        assert_eq!(container(0), None);
        // An agent's ROUTER is that of all its containers.
        assert_eq!(way("u1", 1, 0), way("u2", 1, 0));
    }

    #[test]
    fn only_what_was_not_done_for_certain_is_not_there() {
        let failed = |code| CallError::Failed(ErrorPayload::new(code, "no"));
        let cases = [
            (failed(ErrorCode::Gone), Setback::NotThere),
            (failed(ErrorCode::NoSuchContainer), Setback::NotThere),
            (failed(ErrorCode::Interrupted), Setback::Interrupted),
            // The link was left, and what had been sent over it may run.
            (CallError::Closed, Setback::Interrupted),
            (failed(ErrorCode::NotAllowed), Setback::Refused),
            (CallError::Protocol("what".to_owned()), Setback::Refused),
            (failed(ErrorCode::Busy), Setback::Other),
            (failed(ErrorCode::OutcomeUnknown), Setback::Other),
        ];
        for (error, setback) in cases {
            assert_eq!(Setback::from(&error), setback, "{error:?}");
        }
    }
}

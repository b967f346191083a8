//! A request to a container, by one route or two.

use std::time::Duration;

use huly_protocol::{Chain, ContainerCall, Epoch, Json, method};

use super::Setback;
use crate::io::{Call, Token};

/// A request to a container: directly where that is possible, else, or where that failed, through
/// the network server. On both routes it has one id, by which an agent that got it knows it again,
/// and says which life of the container it is for: so it runs once, or it is not known whether it
/// ran.
#[derive(Debug, Clone)]
pub struct ContainerRequest {
    /// The container.
    pub uuid: String,
    /// What it is asked to do.
    pub operation: String,
    /// With what.
    pub data: Json,
    /// The request id; the session makes one when absent. Needed where there may be two routes.
    pub id: Option<String>,
    /// How long it may take from now on; the session's own time when absent.
    pub timeout: Option<Duration>,
    /// See [`Call::idempotent`].
    pub idempotent: bool,
    /// See [`Call::epoch`].
    pub epoch: Option<Epoch>,
    /// Whether it was sent directly before.
    pub sent_before: bool,
    /// See [`Call::chain`].
    pub chain: Chain,
}

impl ContainerRequest {
    /// One with the defaults.
    pub fn new(uuid: impl Into<String>, operation: impl Into<String>, data: Json) -> Self {
        Self {
            uuid: uuid.into(),
            operation: operation.into(),
            data,
            id: None,
            timeout: None,
            idempotent: false,
            epoch: None,
            sent_before: false,
            chain: Chain::default(),
        }
    }

    /// The call by the direct route: to the container's agent, or to a ROUTER of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn direct(&self, token: Token, of_agent: bool) -> Result<Call, serde_json::Error> {
        let call = match of_agent {
            true => Call::new(token, method::CONTAINER_REQUEST, self.params()?),
            false => Call::new(token, self.operation.clone(), self.data.clone()),
        };
        Ok(Call {
            fail_when_cut: true,
            ..self.with_terms(call)
        })
    }

    /// The direct route failed: whether it goes on by the other one. So much of its time is over.
    pub fn goes_on(&mut self, failed: Setback, took: Duration) -> bool {
        self.timeout = self.timeout.map(|timeout| timeout.saturating_sub(took));
        self.sent_before |= failed == Setback::Interrupted;
        matches!(failed, Setback::Interrupted | Setback::NotThere)
    }

    /// The call through the network server.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn routed(&self, token: Token) -> Result<Call, serde_json::Error> {
        let call = Call::new(token, method::CONTAINER_REQUEST, self.params()?);
        Ok(Call {
            sent_before: self.sent_before,
            ..self.with_terms(call)
        })
    }

    fn params(&self) -> Result<Json, serde_json::Error> {
        Json::of(&ContainerCall {
            uuid: self.uuid.as_str().into(),
            operation: self.operation.as_str().into(),
            data: self.data.raw(),
            ext: None,
        })
    }

    fn with_terms(&self, call: Call) -> Call {
        Call {
            id: self.id.clone(),
            timeout: self.timeout,
            idempotent: self.idempotent,
            epoch: self.epoch,
            chain: self.chain.clone(),
            ..call
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ContainerRequest {
        ContainerRequest {
            id: Some("r-1".to_owned()),
            timeout: Some(Duration::from_secs(5)),
            epoch: Some(Epoch { term: 1, n: 2 }),
            ..ContainerRequest::new("u", "count", Json::null())
        }
    }

    #[test]
    fn both_routes_say_the_same_request_and_life() -> Result<(), serde_json::Error> {
        let mut request = request();
        let direct = request.direct(1, true)?;
        assert!(direct.fail_when_cut && !direct.sent_before);
        assert!(request.goes_on(Setback::Interrupted, Duration::from_secs(2)));
        let routed = request.routed(2)?;
        assert!(routed.sent_before && !routed.fail_when_cut);
        assert_eq!((&direct.id, direct.epoch), (&routed.id, routed.epoch));
        assert_eq!(routed.timeout, Some(Duration::from_secs(3)));
        assert_eq!(direct.params.text(), routed.params.text());
        // To a ROUTER of its own the operation is the method.
        assert_eq!(request.direct(3, false)?.method, "count");
        Ok(())
    }

    #[test]
    fn what_was_not_done_may_be_asked_anew_and_what_was_answered_is_not() {
        let mut not_there = request();
        assert!(not_there.goes_on(Setback::NotThere, Duration::ZERO));
        assert!(!not_there.sent_before);
        for answered in [Setback::Refused, Setback::Other] {
            assert!(!request().goes_on(answered, Duration::ZERO), "{answered:?}");
        }
    }
}

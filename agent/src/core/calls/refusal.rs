//! What a container does not take.

use huly_protocol::{Chain, ErrorCode, ErrorPayload};

use super::super::config::Config;
use super::super::container::Container;
use super::super::error;
use super::super::types::CallNumber;
use super::Caller;

/// Why a container does not take a request, if it does not.
pub(super) fn refusal(
    container: &Container,
    caller: &Caller,
    bytes: usize,
    config: &Config,
) -> Option<ErrorPayload> {
    let uuid = &container.uuid;
    let (code, message) = if caller.ext.epoch.is_some() && caller.ext.epoch != container.epoch() {
        let message =
            format!("outcome unknown: container {uuid} was placed again since it was asked");
        (ErrorCode::OutcomeUnknown, message)
    } else if container.is_standby() {
        let message = format!("container {uuid} stands by on {}", config.agent);
        (ErrorCode::Gone, message)
    } else if container.is_stopping() {
        let message = format!("container {uuid} is being ended");
        (ErrorCode::Gone, message)
    } else if caller.ext.timeout_ms == Some(0) {
        let message = "the caller waits no longer; the request did not run".to_owned();
        (ErrorCode::TimedOut, message)
    } else if is_waited_for(container, &caller.ext.chain) {
        let chain = &caller.ext.chain;
        let message =
            format!("serial container {uuid} waits for this call itself: {chain} → {uuid}");
        (ErrorCode::Reentrant, message)
    } else if caller.ext.chain.len() >= Chain::MAX {
        let message = format!(
            "{} containers wait for this call already: {}",
            Chain::MAX,
            caller.ext.chain
        );
        (ErrorCode::Exhausted, message)
    } else if container.waiting.len() >= config.waiting_calls {
        let message = format!("too many requests wait for container {uuid}");
        (ErrorCode::Busy, message)
    } else if container.calls.len() >= config.calls_per_container {
        let message = format!(
            "container {uuid} has {} requests without an answer, the most that it takes",
            container.calls.len()
        );
        (ErrorCode::Busy, message)
    } else if !container.calls.is_empty()
        && container.call_bytes.saturating_add(bytes) > config.bytes_per_container
    {
        let message = format!("container {uuid} has too many bytes of requests without an answer");
        (ErrorCode::Busy, message)
    } else {
        return None;
    };
    Some(error(code, message))
}

/// Whether the container is asked one thing at a time and waits for the call in a request that is not
/// answered yet. One that was answered waits for nothing: what it left running may call it.
fn is_waited_for(container: &Container, chain: &Chain) -> bool {
    let in_it = |(uuid, request): (&str, u64)| {
        *uuid == *container.uuid && container.calls.contains(&CallNumber(request))
    };
    container.serial && chain.iter().any(in_it)
}

//! What stories call what the cores say of it.

use huly_agent::core::Permit;
use huly_election::Why;
use huly_protocol::ErrorCode;
use huly_session::{CallError, StopReason};

/// What an error's code says.
pub(crate) fn of_code(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::BadRequest) => "it is not one of the protocol",
        Some(ErrorCode::Busy) => "busy",
        Some(ErrorCode::Exhausted) => "a limit is reached",
        Some(ErrorCode::NoSuitableAgent) => "no agent can host it now",
        Some(ErrorCode::NoSuchKind) => "no agent offers the kind",
        Some(ErrorCode::OtherKind) => "the uuid is one of another kind",
        Some(ErrorCode::NoSuchContainer) => "no such container",
        Some(ErrorCode::NoSuchAgent) => "no such agent",
        Some(ErrorCode::NotAllowed) => "not allowed",
        Some(ErrorCode::TimedOut) => "its time is over",
        Some(ErrorCode::Gone) => "the container has gone",
        Some(ErrorCode::Interrupted) => "interrupted, it did not run",
        Some(ErrorCode::OutcomeUnknown) => "it may have run",
        Some(ErrorCode::Superseded) => "another one has taken over",
        Some(ErrorCode::Reentrant) => "the container waits for it itself",
        Some(ErrorCode::Failed) => "the container's own error",
        Some(_) => "a code of another version",
        None => "no code",
    }
}

pub(crate) fn of_error(error: &CallError) -> String {
    match error {
        CallError::Failed(failed) => match failed.code {
            None => failed.message.clone(),
            code => of_code(code).to_owned(),
        },
        CallError::Protocol(what) => format!("the answer is wrong: {what}"),
        CallError::Closed => "its connection was left".to_owned(),
    }
}

/// Why a process ends with its session.
pub(crate) fn of_stop(reason: &StopReason) -> String {
    match reason {
        StopReason::Left => "it has left".to_owned(),
        StopReason::Superseded(why) => format!("another one has taken over: {why}"),
    }
}

/// When a container begins with what it is asked.
pub(crate) fn of_permit(permit: Permit) -> &'static str {
    match permit {
        Permit::Always => "goes on with or without a lease",
        Permit::Leased => "goes on while there is a lease",
        Permit::Never => "begins with nothing for now",
    }
}

/// Why an operator leads no more.
pub(crate) fn of_following(why: Why) -> &'static str {
    match why {
        Why::NotRenewed => "it has not renewed the Lease in time",
        Why::Taken => "another one holds the Lease",
        Why::Superseded => "the server knows a higher number",
    }
}

/// Why a container has ended, by its name in the metrics.
pub(crate) fn of_end(reason: &str) -> &str {
    match reason {
        "Terminated" => "the server said so",
        "LivesElsewhere" => "it lives elsewhere",
        "Replaced" => "it is placed here anew",
        "Drain" => "the agent leaves",
        "StartTimeout" => "it had not started in time",
        "StartFailed" => "it could not start",
        "ByItself" => "by itself",
        "Panicked" => "it panicked",
        "Unwanted" => "nobody wants that it stands by",
        other => other,
    }
}

/// Several, or none.
pub(crate) fn of_all<T: AsRef<str>>(all: &[T]) -> String {
    match all {
        [] => "nothing".to_owned(),
        all => {
            let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
            all.join(", ")
        }
    }
}

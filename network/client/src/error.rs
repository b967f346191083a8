use huly_protocol::{ErrorCode, ErrorPayload, NO_SUITABLE_AGENT, Rejection};
use huly_session::CallError;

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is not one of the protocol: unknown method, wrong parameters.
    BadRequest,
    /// Above a budget or a limit for now; the same request may go through later.
    Busy,
    /// A fixed limit is reached.
    Exhausted,
    /// No agent can host the container now; [`Error::rejections`] counts why.
    NoSuitableAgent,
    /// No agent serves the kind and no specification names it.
    NoSuchKind,
    /// The uuid lives under another kind (strict gets only).
    OtherKind,
    /// There is no container of that uuid.
    NoSuchContainer,
    /// There is no agent of that uuid.
    NoSuchAgent,
    /// The client may not do that.
    NotAllowed,
    /// The deadline passed; a request to a container did not run.
    TimedOut,
    /// What was asked is not there any more.
    Gone,
    /// It was given up before it did anything.
    Interrupted,
    /// A request to a container may or may not have run.
    OutcomeUnknown,
    /// Another process has the client id now.
    Superseded,
    /// The container's own error, or one without a code.
    Failed,
    /// The client was closed.
    Closed,
    /// A peer's answer is not what the protocol or the caller expects.
    Protocol,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
    /// How many agents were rejected and why, with [`ErrorKind::NoSuitableAgent`].
    pub rejections: Vec<Rejection>,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            rejections: Vec::new(),
        }
    }

    /// Whether the same call may go through later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Busy
                | ErrorKind::NoSuitableAgent
                | ErrorKind::TimedOut
                | ErrorKind::Interrupted
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the client is closed")
    }

    pub(crate) fn protocol(what: &str, error: &serde_json::Error) -> Self {
        Self::new(ErrorKind::Protocol, format!("{what}: {error}"))
    }

    pub(crate) fn unwritable(error: &serde_json::Error) -> Self {
        let message = format!("what is to be sent cannot be written as JSON: {error}");
        Self::new(ErrorKind::BadRequest, message)
    }
}

impl From<ErrorPayload> for Error {
    fn from(error: ErrorPayload) -> Self {
        let kind = match error.code {
            Some(ErrorCode::BadRequest) => ErrorKind::BadRequest,
            Some(ErrorCode::Busy) => ErrorKind::Busy,
            Some(ErrorCode::Exhausted) => ErrorKind::Exhausted,
            Some(ErrorCode::NoSuitableAgent) => ErrorKind::NoSuitableAgent,
            Some(ErrorCode::NoSuchKind) => ErrorKind::NoSuchKind,
            Some(ErrorCode::OtherKind) => ErrorKind::OtherKind,
            Some(ErrorCode::NoSuchContainer) => ErrorKind::NoSuchContainer,
            Some(ErrorCode::NoSuchAgent) => ErrorKind::NoSuchAgent,
            Some(ErrorCode::NotAllowed) => ErrorKind::NotAllowed,
            Some(ErrorCode::TimedOut) => ErrorKind::TimedOut,
            Some(ErrorCode::Gone) => ErrorKind::Gone,
            Some(ErrorCode::Interrupted) => ErrorKind::Interrupted,
            Some(ErrorCode::OutcomeUnknown) => ErrorKind::OutcomeUnknown,
            Some(ErrorCode::Superseded) => ErrorKind::Superseded,
            // An original server says it by the text alone (W15).
            None if error.message.starts_with(NO_SUITABLE_AGENT) => ErrorKind::NoSuitableAgent,
            _ => ErrorKind::Failed,
        };
        Self {
            kind,
            message: error.message,
            rejections: error.rejections,
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(error) => error.into(),
            CallError::Protocol(message) => Self::new(ErrorKind::Protocol, message),
            CallError::Closed => Self::closed(),
        }
    }
}

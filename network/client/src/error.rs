use huly_protocol::{ErrorCode, ErrorPayload, NO_SUITABLE_AGENT, Rejection};
use huly_session::CallError;

use crate::operation::Operation;

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
    /// A serial container waits for the request itself, so that it could never run.
    Reentrant,
    /// The container's own error, or one without a code.
    Failed,
    /// The client was closed.
    Closed,
    /// A peer's answer is not what the protocol or the caller expects.
    Protocol,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::BadRequest,
        Self::Busy,
        Self::Exhausted,
        Self::NoSuitableAgent,
        Self::NoSuchKind,
        Self::OtherKind,
        Self::NoSuchContainer,
        Self::NoSuchAgent,
        Self::NotAllowed,
        Self::TimedOut,
        Self::Gone,
        Self::Interrupted,
        Self::OutcomeUnknown,
        Self::Superseded,
        Self::Reentrant,
        Self::Failed,
        Self::Closed,
        Self::Protocol,
    ];
}

/// Why an operation failed.
///
/// ```
/// use huly_client::{Error, ErrorKind, Operation};
///
/// let late = Error::new(ErrorKind::OutcomeUnknown, "the container did not answer in time");
/// let request = late.clone().of(Operation::Request);
/// assert_eq!(request.to_string(), "request: the container did not answer in time");
/// assert!(!request.is_retryable(), "it may have run");
/// assert!(late.of(Operation::Get).is_retryable(), "a get twice is the same container");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
#[non_exhaustive]
pub struct Error {
    /// What failed.
    pub operation: Operation,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
    /// How many agents were rejected and why, with [`ErrorKind::NoSuitableAgent`].
    pub rejections: Vec<Rejection>,
}

impl Error {
    /// An error of a kind, of a [`Call`](Operation::Call).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            operation: Operation::Call,
            kind,
            message: message.into(),
            rejections: Vec::new(),
        }
    }

    /// The same, of another operation.
    #[must_use]
    pub fn of(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// Whether the same may be tried again: it may go through later without anybody changing
    /// anything, and no container does twice what it was asked once.
    ///
    /// Never so of a request that may have run; one marked idempotent is sent again without
    /// asking, until its deadline. The table stands in docs/client.md.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Busy
            | ErrorKind::NoSuitableAgent
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted => true,
            ErrorKind::OutcomeUnknown => !self.operation.asks_a_container(),
            // The container that was about to be given, or connected: there may be another.
            ErrorKind::Gone => matches!(self.operation, Operation::Get | Operation::Connect),
            ErrorKind::BadRequest
            | ErrorKind::Exhausted
            | ErrorKind::NoSuchKind
            | ErrorKind::OtherKind
            | ErrorKind::NoSuchContainer
            | ErrorKind::NoSuchAgent
            | ErrorKind::NotAllowed
            | ErrorKind::Superseded
            | ErrorKind::Reentrant
            | ErrorKind::Failed
            | ErrorKind::Closed
            | ErrorKind::Protocol => false,
        }
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
            Some(ErrorCode::Reentrant) => ErrorKind::Reentrant,
            // An original server says it by the text alone (W15).
            None if error.message.starts_with(NO_SUITABLE_AGENT) => ErrorKind::NoSuitableAgent,
            _ => ErrorKind::Failed,
        };
        Self {
            operation: Operation::Call,
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

/// Says of an error what failed.
pub(crate) trait During {
    fn during(self, operation: Operation) -> Self;
}

impl<T> During for Result<T, Error> {
    fn during(self, operation: Operation) -> Self {
        self.map_err(|error| error.of(operation))
    }
}

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What kind of failure an error is (extension; TypeScript peers see the message alone).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request is not one of the protocol: unknown method, wrong parameters.
    BadRequest,
    /// Above a budget or a limit for now; the same request may go through later.
    Busy,
    /// A fixed limit is reached; the same request fails until somebody changes something.
    Exhausted,
    /// No agent can host the container now; the rejections count why.
    NoSuitableAgent,
    /// No agent serves the kind and no specification names it.
    NoSuchKind,
    /// The uuid lives under another kind (strict gets only).
    OtherKind,
    /// There is no container of that uuid.
    NoSuchContainer,
    /// There is no agent of that uuid.
    NoSuchAgent,
    /// The sender may not do that.
    NotAllowed,
    /// The deadline passed.
    TimedOut,
    /// What was asked is not there any more.
    Gone,
    /// The request was given up before it was handed to a container: it did not run.
    Interrupted,
    /// The request may or may not have run; it is not sent again unless marked idempotent.
    OutcomeUnknown,
    /// Another one has taken over from the sender.
    Superseded,
    /// A serial container waits for the request itself: it did not run.
    Reentrant,
    /// The container's own error.
    Failed,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}

/// How many agents were rejected for a placement, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejection {
    /// A constant: `KindNotServed`, `SelectorMismatch`, `AtCapacity`, `Draining`, `Suspected`.
    pub reason: String,
    /// How many agents.
    pub agents: u32,
}

/// The payload of a failed request (op 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorPayload {
    /// What happened, for people.
    #[serde(default, deserialize_with = "crate::json::null_as_default")]
    pub message: String,
    /// Where it happened; TypeScript peers read it, Rust peers send it empty.
    #[serde(default, deserialize_with = "crate::json::null_as_default")]
    pub stack: String,
    /// What kind of failure it is (extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// Why agents were rejected, with `NoSuitableAgent` (extension).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<Rejection>,
}

impl ErrorPayload {
    /// An error with a code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            stack: String::new(),
            code: Some(code),
            rejections: Vec::new(),
        }
    }

    /// The same with the reasons why agents were rejected.
    pub fn with_rejections(mut self, rejections: Vec<Rejection>) -> Self {
        self.rejections = rejections;
        self
    }

    /// The payload without what TypeScript peers did not announce.
    pub fn plain(mut self) -> Self {
        self.code = None;
        self.rejections.clear();
        self
    }

    /// Reads the payload of op 3; one that cannot be read becomes its message.
    pub fn read(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_else(|_| Self {
            message: String::from_utf8_lossy(payload).into_owned(),
            stack: String::new(),
            code: None,
            rejections: Vec::new(),
        })
    }

    /// The payload's bytes.
    pub fn bytes(&self) -> Bytes {
        // Text, numbers and constants alone: writing it cannot fail.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

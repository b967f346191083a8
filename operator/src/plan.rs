//! What is to be: pure functions from objects and facts to specifications, holds and statuses.

pub(crate) mod access;
pub(crate) mod claim_status;
pub(crate) mod conditions;
pub(crate) mod events;
pub(crate) mod kind_status;
pub(crate) mod kinds;
pub(crate) mod push;
pub(crate) mod uuids;

/// Why something is not so: a documented reason and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

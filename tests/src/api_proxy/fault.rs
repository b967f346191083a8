use std::time::{Duration, Instant};

use http::{Method, Request};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// All of a kind.
    List,
    /// What changes.
    Watch,
    /// A new object.
    Create,
    /// A change of an object.
    Patch,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Patch,
    ];
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The API server is asked only after this time.
    Late(Duration),
    /// This status, and nothing is done.
    Status(u16),
    /// 429, with `Retry-After` in seconds, and nothing is done.
    Busy(u64),
    /// The connection is closed in the midst of the answer.
    Cut,
    /// A watch is closed after so many events.
    Closed(usize),
    /// A watch says that its version is too old.
    Expired,
    /// A watch says nothing, and does not end.
    Silent,
    /// There is no answer, and nothing is done.
    Unanswered,
    /// A list is as it was remembered.
    Old,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// For what.
    pub verb: Verb,
    /// Of which path.
    pub path: String,
    /// Whether and with which status it was answered.
    pub status: Option<u16>,
}

pub(super) struct Rule {
    pub(super) verbs: Vec<Verb>,
    pub(super) path: String,
    pub(super) fault: Fault,
    pub(super) left: Option<usize>,
}

impl Rule {
    pub(super) fn is_for(&self, asked: &Asked) -> bool {
        self.left != Some(0) && self.verbs.contains(&asked.verb) && asked.path.contains(&self.path)
    }
}

pub(super) fn asked<B>(request: &Request<B>) -> Asked {
    let query = request.uri().query().unwrap_or_default();
    let says = |part: &str| query.split('&').any(|said| said.starts_with(part));
    let verb = match *request.method() {
        Method::POST => Verb::Create,
        Method::PATCH => Verb::Patch,
        _ if says("watch=true") => Verb::Watch,
        _ if says("limit=") => Verb::List,
        _ => Verb::Get,
    };
    Asked {
        at: Instant::now(),
        verb,
        path: request.uri().path().to_owned(),
        status: None,
    }
}

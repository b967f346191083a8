//! What happens to a network, step by step.

use std::fmt;

use huly_protocol::KindSpec;

use crate::words::of_all;

/// Something that happens, mostly to who has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Start(String),
    /// It ends without a word; silently if even its connections do not tell.
    Crash {
        place: String,
        silent: bool,
    },
    /// Its connections are cut: each side notices in its own time, or never.
    Cut(String),
    Pause(String),
    Thaw(String),
    /// Nothing reaches it and nothing comes from it; nothing is lost.
    Isolate(String),
    Join(String),
    /// It does not reach the server, nor the server it; others it does.
    Part(String),
    Meet(String),
    /// It does not reach the API server.
    LoseApi(String),
    FindApi(String),
    /// Its messages take longer.
    Slow {
        place: String,
        ms: u64,
    },
    /// It takes so many bytes a second of what the server sends it; all at once if none are named.
    Read {
        place: String,
        pace: Option<u64>,
    },
    /// Its time of day is set.
    SetClock {
        place: String,
        ms: i64,
    },
    /// The server gives up the connection to it.
    Clog(String),
    /// One of its containers ends by itself.
    LoseContainer(String),
    /// It leaves in order.
    Leave(String),
    /// A second server: some stay with the first.
    Double {
        stay: Vec<String>,
    },
    /// The first of two is reached by nobody any more.
    Single,
    /// A kind has another specification, by the operator.
    SetKind(Box<KindSpec>),
    /// It has none any more.
    DeleteKind(String),
}

impl Step {
    /// The place that has to get over it.
    pub(crate) fn disturbs(&self) -> Option<&str> {
        match self {
            Self::Crash { place, .. }
            | Self::Start(place)
            | Self::Cut(place)
            | Self::Pause(place)
            | Self::Thaw(place)
            | Self::Isolate(place)
            | Self::Join(place)
            | Self::Part(place)
            | Self::Meet(place)
            | Self::Slow { place, .. }
            | Self::Read { place, .. }
            | Self::Clog(place)
            | Self::Leave(place) => Some(place),
            Self::Double { .. } | Self::Single => Some("server"),
            Self::SetClock { .. }
            | Self::LoseContainer(_)
            | Self::LoseApi(_)
            | Self::FindApi(_)
            | Self::SetKind(_)
            | Self::DeleteKind(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(place) => write!(f, "{place} is started"),
            Self::Crash {
                place,
                silent: false,
            } => write!(f, "{place} is killed"),
            Self::Crash { place, .. } => write!(f, "the machine of {place} dies"),
            Self::Cut(place) => write!(f, "the connections of {place} are cut"),
            Self::Pause(place) => write!(f, "{place} is paused"),
            Self::Thaw(place) => write!(f, "{place} goes on"),
            Self::Isolate(place) => write!(f, "{place} is isolated"),
            Self::Join(place) => write!(f, "{place} is reached again"),
            Self::Part(place) => write!(f, "{place} is parted from the server"),
            Self::Meet(place) => write!(f, "{place} reaches the server again"),
            Self::LoseApi(place) => write!(f, "{place} does not reach the API server"),
            Self::FindApi(place) => write!(f, "{place} reaches the API server again"),
            Self::Slow { place, ms } => write!(f, "messages of {place} take up to {ms} ms more"),
            Self::Read { place, pace: None } => write!(f, "{place} reads as before"),
            Self::Read { place, pace } => {
                let pace = pace.unwrap_or_default();
                write!(f, "{place} reads {pace} bytes a second")
            }
            Self::SetClock { place, ms } => write!(f, "the time of day of {place} steps {ms} ms"),
            Self::Clog(place) => write!(f, "the server gives up the connection to {place}"),
            Self::LoseContainer(place) => write!(f, "a container of {place} ends by itself"),
            Self::Leave(place) => write!(f, "{place} is told to leave"),
            Self::Double { stay } => {
                write!(f, "a second server; with the first stay {}", of_all(stay))
            }
            Self::SetKind(spec) => write!(f, "kind {} has revision {}", spec.kind, spec.revision),
            Self::DeleteKind(kind) => write!(f, "kind {kind} is deleted"),
            Self::Single => write!(f, "the first server is cut off from all"),
        }
    }
}

//! What comes into the core and what goes out.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_operator_api::condition::claim as reason;
use huly_operator_api::{ContainerClaimStatus, ContainerKindStatus};
use huly_protocol::{AgentInfo, FeedEvent, GetParams, GotContainer, Rejection, Synced};

use crate::model::{Claim, Kind, Namespace};
use crate::plan::Refusal;
use crate::plan::events::ClaimEvent;
use crate::plan::push::KindStep;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Input {
    Kinds(Watched<Kind>),
    Claims(Watched<Claim>),
    Namespaces(Watched<Namespace>),
    /// What is listed and watched, and why that fails now, if it does.
    Watch {
        what: &'static str,
        trouble: Option<String>,
    },
    Session(SessionFacts),
    Feed(FeedUpdate),
    Outcome(Outcome),
}

/// An object as a watch delivers it.
#[derive(Debug)]
pub(crate) enum Object<T> {
    Read(T),
    /// It exists and its text is not one of `T`; its metadata.uid.
    Unreadable(String),
}

/// What a watch says.
#[derive(Debug)]
pub(crate) enum Watched<T> {
    /// These are all that exist.
    Listed(Vec<Object<T>>),
    /// One is new or changed.
    Applied(Object<T>),
    /// One is gone.
    Deleted(Object<T>),
}

/// Where the session with the network server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionFacts {
    /// Grows when what the server knew of the operator may be gone.
    pub(crate) generation: u64,
    /// Whether the server is reached and lets the operator do its work, or why not.
    pub(crate) usable: Result<(), String>,
}

/// A piece of the network's feed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FeedUpdate {
    /// What was told so far does not hold any more; a snapshot follows.
    Reset,
    Snapshot(FeedEvent),
    Event(FeedEvent),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    Get {
        uuid: String,
        generation: u64,
        params: GetParams,
    },
    Release {
        uuid: String,
        generation: u64,
    },
    SetKinds {
        generation: u64,
        steps: Vec<KindStep>,
    },
    Sync {
        generation: u64,
        uuids: Vec<String>,
    },
    Sample {
        kinds: Vec<String>,
    },
    /// The status follows this version of the object: over another one it is not written.
    WriteClaim {
        claim: ClaimRef,
        version: u64,
        status: Box<ContainerClaimStatus>,
    },
    WriteKind {
        name: String,
        uid: String,
        version: u64,
        status: Box<ContainerKindStatus>,
    },
    Event {
        claim: ClaimRef,
        event: ClaimEvent,
    },
    Count(Count),
}

/// Names a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// Something for the metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Count {
    StatusWrite {
        object: &'static str,
        outcome: &'static str,
    },
    /// From a claim's creation to its first Bound in its status.
    BoundAfter(Duration),
    Failovers(u64),
    Released(u64),
    Sync(&'static str),
    Error(&'static str),
}

/// An effect came to something.
#[derive(Debug)]
pub(crate) enum Outcome {
    Got {
        uuid: String,
        generation: u64,
        result: Result<Box<GotContainer>, NetworkError>,
    },
    Released {
        uuid: String,
        generation: u64,
        result: Result<(), NetworkError>,
    },
    KindsSet {
        generation: u64,
        result: Result<(), NetworkError>,
    },
    Synced {
        generation: u64,
        result: Result<Synced, NetworkError>,
    },
    Sampled(Result<Sample, NetworkError>),
    ClaimWritten {
        uid: String,
        /// The version of the object with the status.
        result: Result<u64, WriteError>,
    },
    KindWritten {
        name: String,
        uid: String,
        result: Result<u64, WriteError>,
    },
}

/// Figures of the network.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) agents: Vec<AgentInfo>,
    /// By kind; a kind with very many containers has none.
    pub(crate) references: BTreeMap<String, u64>,
}

/// Why the network server did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// No agent can host the container now.
    #[error("{message}")]
    NotPlaceable {
        message: String,
        rejections: Vec<Rejection>,
    },
    /// The uuid lives under another kind.
    #[error("{0}")]
    OtherKind(String),
    /// The container does not start.
    #[error("{0}")]
    Failed(String),
    /// It is not known whether it was done.
    #[error("{0}")]
    Unknown(String),
}

impl NetworkError {
    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::NotPlaceable { .. } => "not_placeable",
            Self::OtherKind(_) => "other_kind",
            Self::Failed(_) => "start_failed",
            Self::Unknown(_) => "network",
        }
    }

    /// Why a claim is not bound; none where trying again says more.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        let (why, message) = match self {
            Self::NotPlaceable {
                message,
                rejections,
            } => (
                reason::REASON_NOT_PLACEABLE,
                not_placeable(&message, rejections),
            ),
            Self::OtherKind(message) => (reason::REASON_UUID_OF_OTHER_KIND, message),
            Self::Failed(message) => (reason::REASON_START_FAILED, message),
            Self::Unknown(_) => return None,
        };
        Some(Refusal::new(why, message))
    }
}

/// How many agents there are and why each was rejected, as the scheduler says it; without agents,
/// the server's own words.
fn not_placeable(message: &str, mut rejections: Vec<Rejection>) -> String {
    let all: u32 = rejections.iter().map(|rejection| rejection.agents).sum();
    if all == 0 {
        return message.to_owned();
    }
    rejections.sort_by(|a, b| (b.agents, &a.reason).cmp(&(a.agents, &b.reason)));
    let each: Vec<String> = rejections
        .iter()
        .map(|rejection| format!("{} {}", rejection.agents, rejection.reason))
        .collect();
    format!("0/{all} agents: {}", each.join(", "))
}

/// Why a status was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// There is no such object.
    Gone,
    /// The object is not what it was, or another one has its name.
    Conflict,
    /// The API server does not take it.
    Refused,
    /// The API server does not answer, has too much to do, or fails: others will fail, too.
    Away,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_placeable(rejections: &[(&str, u32)]) -> String {
        let rejection = |(reason, agents): &(&str, u32)| Rejection {
            reason: (*reason).to_owned(),
            agents: *agents,
        };
        let error = NetworkError::NotPlaceable {
            message: "no agent is there".into(),
            rejections: rejections.iter().map(rejection).collect(),
        };
        error.refusal().unwrap().message
    }

    #[test]
    fn rejections_are_counted_the_most_first() {
        let said = not_placeable(&[("KindNotServed", 1), ("AtCapacity", 1), ("Draining", 4)]);
        assert_eq!(
            said,
            "0/6 agents: 4 Draining, 1 AtCapacity, 1 KindNotServed"
        );
        assert_eq!(not_placeable(&[]), "no agent is there");
    }

    #[test]
    fn an_unknown_outcome_refuses_nothing() {
        assert_eq!(NetworkError::Unknown("cut off".into()).refusal(), None);
    }
}

//! The status of a claim from where it stands.

use huly_operator_api::condition::claim::{self as reason, AVAILABLE, BOUND, READY};
use huly_operator_api::{ContainerClaimStatus, FailoverStatus, MAX_NAME};
use huly_protocol::Failover;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

use super::Refusal;
use super::conditions::{Said, Truth, condition, conditions, is_true};
use crate::fact::Fact;

/// The most labels that a status shows, and the longest agent id.
const MAX_LABELS: usize = 64;
const MAX_ID: usize = 512;

/// Where a claim stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Nothing is known that the status does not say: it stays.
    Unchanged,
    /// It may not have a container and holds none.
    Refused(Refusal),
    /// It is to have a container, and there is none.
    Unplaced(Refusal),
    /// It has a container.
    Bound {
        fact: Box<Fact>,
        /// Its agent is gone and the network places it again.
        failing_over: bool,
        /// Its ContainerKind is deleted.
        kind_deleted: Option<Refusal>,
    },
    /// The network server is not reached: nobody knows.
    Unreachable { message: String },
}

/// The status of a claim that asks for `uuid`; none when the previous one stays.
pub(crate) fn claim_status(
    previous: &ContainerClaimStatus,
    generation: i64,
    uuid: &str,
    standing: &Standing,
    now: Timestamp,
) -> Option<ContainerClaimStatus> {
    let mut status = match standing {
        Standing::Unchanged => return None,
        Standing::Refused(_) => ContainerClaimStatus::default(),
        Standing::Unplaced(_) => ContainerClaimStatus {
            uuid: previous.uuid.clone(),
            failovers: previous.failovers,
            last_failover: previous.last_failover.clone(),
            ..ContainerClaimStatus::default()
        },
        Standing::Bound { fact, .. } => placed(uuid, fact),
        Standing::Unreachable { .. } => previous.clone(),
    };
    status.observed_generation = Some(generation);
    status.conditions = conditions(
        &previous.conditions,
        said(previous, uuid, standing),
        generation,
        now,
    );
    Some(status)
}

fn placed(uuid: &str, fact: &Fact) -> ContainerClaimStatus {
    let epoch = fact
        .epoch
        .map(|epoch| format!("{}.{}", epoch.term, epoch.n));
    ContainerClaimStatus {
        uuid: Some(uuid.to_owned()),
        agent: Some(bounded(&fact.agent, MAX_ID)),
        node_name: fact.node.as_deref().map(|node| bounded(node, MAX_NAME)),
        pod_name: fact.pod.as_deref().map(|pod| bounded(pod, MAX_ID)),
        endpoint: fact.endpoint.as_deref().map(|at| bounded(at, MAX_ID)),
        mode: fact.mode,
        container_labels: fact
            .labels
            .iter()
            .take(MAX_LABELS)
            .map(|label| bounded(label, MAX_NAME))
            .collect(),
        epoch,
        failovers: Some(i64::from(fact.failovers)),
        last_failover: fact.last_failover.as_ref().map(failover),
        ..ContainerClaimStatus::default()
    }
}

fn failover(failover: &Failover) -> FailoverStatus {
    let time = i64::try_from(failover.time_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default();
    FailoverStatus {
        from: bounded(&failover.from, MAX_ID),
        to: bounded(&failover.to, MAX_ID),
        reason: bounded(&failover.reason, 128),
        time: MicroTime(time),
        duration_milliseconds: i64::try_from(failover.duration_ms).unwrap_or(i64::MAX),
    }
}

/// What peers say may be longer than the schema allows.
fn bounded(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

fn said(previous: &ContainerClaimStatus, uuid: &str, standing: &Standing) -> Vec<Said> {
    let say = |type_, truth, reason, message: &str| Said {
        type_,
        truth,
        reason,
        message: message.to_owned(),
    };
    match standing {
        Standing::Unchanged => Vec::new(),
        Standing::Refused(refusal) | Standing::Unplaced(refusal) => vec![
            say(BOUND, Truth::False, refusal.reason, &refusal.message),
            say(
                AVAILABLE,
                Truth::False,
                reason::REASON_NOT_BOUND,
                "the claim holds no container",
            ),
            say(READY, Truth::False, refusal.reason, &refusal.message),
        ],
        Standing::Bound {
            fact,
            failing_over,
            kind_deleted,
        } => {
            let here = format!("the container {uuid} lives on the agent {}", fact.agent);
            let gone = format!(
                "the agent {} is gone: the network places the container again",
                fact.agent
            );
            let bound = match kind_deleted {
                None => say(BOUND, Truth::True, reason::REASON_BOUND, &here),
                Some(deleted) => {
                    let message = format!("{}: the container lives on", deleted.message);
                    say(BOUND, Truth::True, deleted.reason, &message)
                }
            };
            if *failing_over {
                let failing = reason::REASON_FAILING_OVER;
                return vec![
                    bound,
                    say(AVAILABLE, Truth::False, failing, &gone),
                    say(READY, Truth::False, failing, &gone),
                ];
            }
            let ready = match kind_deleted {
                None => say(READY, Truth::True, reason::REASON_READY, &here),
                Some(_) => say(READY, Truth::True, bound.reason, &bound.message),
            };
            let available = say(AVAILABLE, Truth::True, reason::REASON_AVAILABLE, &here);
            vec![bound, available, ready]
        }
        Standing::Unreachable { message } => {
            let unavailable = reason::REASON_NETWORK_UNAVAILABLE;
            // A container lives on while the server is away; so does the claim's hold on it.
            let bound = match condition(&previous.conditions, BOUND) {
                Some(before) if is_true(&previous.conditions, BOUND) => Said {
                    type_: BOUND,
                    truth: Truth::True,
                    reason: match before.reason == reason::REASON_KIND_DELETED {
                        true => reason::REASON_KIND_DELETED,
                        false => reason::REASON_BOUND,
                    },
                    message: before.message.clone(),
                },
                _ => say(BOUND, Truth::False, unavailable, message),
            };
            let truth = match bound.truth {
                Truth::True => Truth::Unknown,
                other => other,
            };
            vec![
                bound,
                say(AVAILABLE, Truth::Unknown, unavailable, message),
                say(READY, truth, unavailable, message),
            ]
        }
    }
}

#[cfg(test)]
mod tests;

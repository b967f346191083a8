//! Events about claims: what a change of status is worth telling.

use std::time::Duration;

use huly_operator_api::ContainerClaimStatus;
use huly_operator_api::condition::claim::{self as reason, BOUND, READY};
use huly_operator_api::condition::event;

use super::conditions::{condition, is_true};

/// A first Bound within this time is no news.
const QUIET: Duration = Duration::from_secs(1);

/// Why a claim has no container until somebody changes something: agents, its kind or the claim.
const NOT_PLACEABLE: [&str; 7] = [
    reason::REASON_NOT_PLACEABLE,
    reason::REASON_KIND_NOT_FOUND,
    reason::REASON_KIND_NOT_ACCEPTED,
    reason::REASON_KIND_NOT_ALLOWED,
    reason::REASON_KIND_OF_OTHER_NETWORK,
    reason::REASON_UUID_IN_USE,
    reason::REASON_UUID_OF_OTHER_KIND,
];

/// An Event about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimEvent {
    pub(crate) reason: &'static str,
    pub(crate) warning: bool,
    pub(crate) action: &'static str,
    pub(crate) note: String,
}

/// What a written status is worth telling; `waited` is how long the claim has been there.
pub(crate) fn written(
    before: &ContainerClaimStatus,
    after: &ContainerClaimStatus,
    waited: Duration,
) -> Vec<ClaimEvent> {
    let mut told = Vec::new();
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let moved = new_failovers(before, after) > 0;
    let bound = is_true(&after.conditions, BOUND) && !is_true(&before.conditions, BOUND);
    if moved && let Some(last) = &after.last_failover {
        told.push(ClaimEvent {
            reason: event::FAILED_OVER,
            warning: true,
            action: "FailOver",
            note: format!(
                "the container {} was placed again, from the agent {} on {}: {} ({} ms)",
                said(&after.uuid),
                last.from,
                last.to,
                last.reason,
                last.duration_milliseconds
            ),
        });
    } else if bound && (before.uuid.is_some() || waited >= QUIET) {
        told.push(ClaimEvent {
            reason: event::BOUND,
            warning: false,
            action: "Bind",
            note: format!(
                "the container {} lives on the agent {}",
                said(&after.uuid),
                said(&after.agent)
            ),
        });
    }
    let reason = |status: &ContainerClaimStatus| {
        condition(&status.conditions, READY).map(|ready| ready.reason.clone())
    };
    if let Some(ready) = condition(&after.conditions, READY)
        && NOT_PLACEABLE.contains(&ready.reason.as_str())
        && reason(before).as_ref() != Some(&ready.reason)
    {
        told.push(ClaimEvent {
            reason: event::NOT_PLACEABLE,
            warning: true,
            action: "Bind",
            note: ready.message.clone(),
        });
    }
    told
}

/// How many failovers the later status has that the earlier does not.
pub(crate) fn new_failovers(before: &ContainerClaimStatus, after: &ContainerClaimStatus) -> u64 {
    match (before.failovers, after.failovers) {
        (Some(before), Some(after)) => u64::try_from(after - before).unwrap_or_default(),
        _ => 0,
    }
}

/// What the deletion of a claim is worth telling; `others` claims have the same uuid.
pub(crate) fn deleted(
    status: &ContainerClaimStatus,
    uuid: &str,
    others: usize,
) -> Option<ClaimEvent> {
    if !is_true(&status.conditions, BOUND) {
        return None;
    }
    let note = match others {
        0 => format!("the container {uuid} is released"),
        others => format!("the container {uuid} lives on: {others} other claims have its uuid"),
    };
    Some(ClaimEvent {
        reason: event::RELEASED,
        warning: false,
        action: "Release",
        note,
    })
}

#[cfg(test)]
mod tests {
    use huly_protocol::Failover;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::fact::Fact;
    use crate::plan::Refusal;
    use crate::plan::claim_status::{Standing, claim_status};

    fn status(standing: &Standing) -> ContainerClaimStatus {
        let before = ContainerClaimStatus::default();
        claim_status(&before, 1, "u", standing, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn bound(failovers: u32) -> ContainerClaimStatus {
        status(&Standing::Bound {
            fact: Box::new(Fact {
                agent: "b".into(),
                failovers,
                last_failover: (failovers > 0).then(|| Failover {
                    from: "a".into(),
                    to: "b".into(),
                    reason: "AgentSilent".into(),
                    time_ms: 0,
                    duration_ms: 7,
                }),
                ..Fact::default()
            }),
            failing_over: false,
            kind_deleted: None,
        })
    }

    fn unplaced() -> ContainerClaimStatus {
        status(&Standing::Unplaced(Refusal::new(
            reason::REASON_NOT_PLACEABLE,
            "0/0 agents",
        )))
    }

    fn refused(reason: &'static str) -> ContainerClaimStatus {
        status(&Standing::Refused(Refusal::new(reason, "it may not")))
    }

    #[test]
    fn what_is_told() {
        let none = ContainerClaimStatus::default();
        let second = Duration::from_secs(1);
        let unknown = || refused(reason::REASON_KIND_NOT_FOUND);
        let cases = [
            (&none, bound(0), Duration::ZERO, vec![]),
            (&none, bound(0), second, vec!["Bound"]),
            (&none, unplaced(), Duration::ZERO, vec!["NotPlaceable"]),
            (&unplaced(), unplaced(), second, vec![]),
            (&unplaced(), bound(0), second, vec!["Bound"]),
            (&bound(0), bound(0), second, vec![]),
            (&bound(0), bound(1), second, vec!["FailedOver"]),
            (&bound(1), unplaced(), second, vec!["NotPlaceable"]),
            (&none, unknown(), second, vec!["NotPlaceable"]),
            (&unknown(), unknown(), second, vec![]),
            (&unknown(), unplaced(), second, vec!["NotPlaceable"]),
            (&none, refused(reason::REASON_PLACING), second, vec![]),
            (&none, refused(reason::REASON_START_FAILED), second, vec![]),
            (
                &bound(0),
                refused(reason::REASON_KIND_DELETED),
                second,
                vec![],
            ),
        ];
        for (before, after, waited, expected) in cases {
            let told: Vec<&str> = written(before, &after, waited)
                .iter()
                .map(|event| event.reason)
                .collect();
            assert_eq!(told, expected);
        }
        let note = &written(&bound(0), &bound(1), second)[0].note;
        let expected =
            "the container u was placed again, from the agent a on b: AgentSilent (7 ms)";
        assert_eq!(note, expected);
        assert_eq!(written(&none, &unknown(), second)[0].note, "it may not");
    }

    #[test]
    fn a_deletion_is_told_of_bound_claims() {
        assert_eq!(deleted(&unplaced(), "u", 0), None);
        let note = deleted(&bound(0), "u", 0).unwrap().note;
        assert_eq!(note, "the container u is released");
        let note = deleted(&bound(0), "u", 2).unwrap().note;
        assert!(note.contains("2 other claims"), "{note}");
    }
}

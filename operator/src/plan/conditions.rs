//! Conditions of a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) type_: &'static str,
    pub(crate) truth: Truth,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Conditions that say this, with the transition times of those that said it before.
pub(crate) fn conditions(
    previous: &[Condition],
    said: Vec<Said>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    said.into_iter()
        .map(|said| {
            let before = condition(previous, said.type_);
            let since = before
                .filter(|before| before.status == said.truth.text())
                .map_or(Time(seconds(now)), |before| {
                    before.last_transition_time.clone()
                });
            Condition {
                type_: said.type_.to_owned(),
                status: said.truth.text().to_owned(),
                reason: said.reason.to_owned(),
                message: said.message,
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}

/// The time as the API server gives it back.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The condition of a type.
pub(crate) fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition is true.
pub(crate) fn is_true(conditions: &[Condition], type_: &str) -> bool {
    condition(conditions, type_).is_some_and(|condition| condition.status == Truth::True.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(truth: Truth, message: &str) -> Vec<Said> {
        vec![Said {
            type_: "Ready",
            truth,
            reason: "Reason",
            message: message.into(),
        }]
    }

    #[test]
    fn the_transition_time_changes_with_the_status_alone() {
        let (one, two) = (
            Timestamp::from_millisecond(1_500).unwrap(),
            Timestamp::from_second(9).unwrap(),
        );
        let first = conditions(&[], said(Truth::True, "a"), 1, one);
        assert_eq!(
            first[0].last_transition_time.0,
            Timestamp::from_second(1).unwrap()
        );
        let same = conditions(&first, said(Truth::True, "b"), 2, two);
        assert_eq!(same[0].last_transition_time, first[0].last_transition_time);
        assert_eq!(same[0].message, "b");
        assert_eq!(same[0].observed_generation, Some(2));
        let other = conditions(&first, said(Truth::Unknown, "b"), 2, two);
        assert_eq!(other[0].last_transition_time.0, two);
        assert!(is_true(&same, "Ready") && !is_true(&other, "Ready"));
    }
}

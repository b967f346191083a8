//! How the network server is brought to know the kinds.

use std::collections::BTreeMap;

use huly_protocol::KindSpec;

/// One message to the network server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KindStep {
    /// Set a specification.
    Set(KindSpec),
    /// Say which kinds have one: others lose theirs.
    Barrier(Vec<String>),
}

/// The steps from what the server has confirmed to what it is to know. Without anything confirmed
/// in the session: the full set, ended by a barrier.
pub(crate) fn plan_push(
    confirmed: Option<&BTreeMap<String, KindSpec>>,
    desired: &BTreeMap<String, KindSpec>,
) -> Vec<KindStep> {
    let barrier = || KindStep::Barrier(desired.keys().cloned().collect());
    let Some(confirmed) = confirmed else {
        let mut steps: Vec<KindStep> = desired.values().cloned().map(KindStep::Set).collect();
        steps.push(barrier());
        return steps;
    };
    let changed = desired
        .iter()
        .filter(|(kind, spec)| confirmed.get(*kind) != Some(spec));
    let mut steps: Vec<KindStep> = changed
        .map(|(_, spec)| KindStep::Set(spec.clone()))
        .collect();
    if confirmed.keys().any(|kind| !desired.contains_key(kind)) {
        steps.push(barrier());
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, revision: u64) -> KindSpec {
        KindSpec {
            revision,
            ..KindSpec::defaults(kind)
        }
    }

    fn set(kinds: &[(&str, u64)]) -> BTreeMap<String, KindSpec> {
        kinds
            .iter()
            .map(|(kind, revision)| ((*kind).to_owned(), spec(kind, *revision)))
            .collect()
    }

    fn barrier(kinds: &[&str]) -> KindStep {
        KindStep::Barrier(kinds.iter().map(|kind| (*kind).to_owned()).collect())
    }

    #[test]
    fn a_fresh_session_gets_the_full_set() {
        let steps = plan_push(None, &set(&[("a", 1), ("b", 2)]));
        let expected = [
            KindStep::Set(spec("a", 1)),
            KindStep::Set(spec("b", 2)),
            barrier(&["a", "b"]),
        ];
        assert_eq!(steps, expected);
        assert_eq!(plan_push(None, &set(&[])), [barrier(&[])]);
    }

    #[test]
    fn changes_are_sent_alone() {
        let known = set(&[("a", 1), ("b", 2)]);
        let cases = [
            (vec![("a", 1), ("b", 2)], vec![]),
            (vec![("a", 1), ("b", 3)], vec![KindStep::Set(spec("b", 3))]),
            // As after Kubernetes' state was restored.
            (vec![("a", 1), ("b", 1)], vec![KindStep::Set(spec("b", 1))]),
            (vec![("a", 1)], vec![barrier(&["a"])]),
            (
                vec![("a", 1), ("c", 1)],
                vec![KindStep::Set(spec("c", 1)), barrier(&["a", "c"])],
            ),
        ];
        for (desired, expected) in cases {
            assert_eq!(plan_push(Some(&known), &set(&desired)), expected);
        }
    }
}

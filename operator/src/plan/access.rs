//! Whether a claim may have a container of its kind.

use std::collections::BTreeMap;

use huly_operator_api::NamespacesFrom;
use huly_operator_api::condition::claim as reason;

use super::Refusal;
use super::kinds::KindState;
use crate::model::{Claim, Kind, selector};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// It may.
    Granted,
    /// Its namespace is not known yet.
    NotYet,
    /// Its kind was deleted: it keeps the container that it has and gets no new one.
    KindDeleted(Refusal),
    /// It may not.
    Refused(Refusal),
}

/// Whether `claim` may have a container of `kind`, its ContainerKind. `labels` are those of the
/// claim's namespace.
pub(crate) fn access(
    network: &str,
    claim: &Claim,
    kind: Option<(&Kind, &KindState)>,
    labels: Option<&BTreeMap<String, String>>,
) -> Access {
    let name = &claim.spec.container_kind_name;
    let refuse = |reason, message| Access::Refused(Refusal::new(reason, message));
    let Some((kind, state)) = kind else {
        if claim.was_bound() {
            let message = format!("the ContainerKind {name} is deleted");
            return Access::KindDeleted(Refusal::new(reason::REASON_KIND_DELETED, message));
        }
        return refuse(
            reason::REASON_KIND_NOT_FOUND,
            format!("there is no ContainerKind {name}"),
        );
    };
    match state {
        KindState::Accepted(_) => {}
        KindState::OtherNetwork => {
            let message = format!(
                "the ContainerKind {name} belongs to the network {}, the claim to {network}",
                kind.spec.network_name
            );
            return refuse(reason::REASON_KIND_OF_OTHER_NETWORK, message);
        }
        KindState::Conflict { with } => {
            let message = format!(
                "the ContainerKind {name} is not accepted: the older {with} has its kind name {}",
                kind.kind_name()
            );
            return refuse(reason::REASON_KIND_NOT_ACCEPTED, message);
        }
    }
    let allowed = &kind.spec.allowed_namespaces;
    let granted = match allowed.from {
        NamespacesFrom::All => true,
        NamespacesFrom::None => false,
        NamespacesFrom::Selector => {
            let Some(labels) = labels else {
                return Access::NotYet;
            };
            let selects = |by| selector(by).matches(labels);
            allowed.selector.as_ref().is_some_and(selects)
        }
    };
    if granted {
        return Access::Granted;
    }
    let message = format!(
        "the ContainerKind {name} does not allow claims of the namespace {}",
        claim.namespace
    );
    refuse(reason::REASON_KIND_NOT_ALLOWED, message)
}

#[cfg(test)]
mod tests {
    use huly_operator_api::LabelSelector;

    use super::*;
    use crate::plan::kinds::plan_kinds;

    fn kind(from: NamespacesFrom) -> Kind {
        let mut kind = Kind {
            name: "echo".into(),
            ..Kind::default()
        };
        kind.spec.network_name = "default".into();
        kind.spec.allowed_namespaces.from = from;
        kind.spec.allowed_namespaces.selector = Some(LabelSelector {
            match_labels: [("team".to_owned(), "a".to_owned())].into(),
            ..LabelSelector::default()
        });
        kind
    }

    fn claim() -> Claim {
        let mut claim = Claim {
            namespace: "demo".into(),
            ..Claim::default()
        };
        claim.spec.container_kind_name = "echo".into();
        claim
    }

    fn ask(claim: &Claim, kind: &Kind, team: Option<&str>) -> Access {
        let state = &plan_kinds("default", [kind])["echo"];
        let labels = team.map(|team| [("team".to_owned(), team.to_owned())].into());
        access("default", claim, Some((kind, state)), labels.as_ref())
    }

    fn reason_of(access: &Access) -> Option<&str> {
        match access {
            Access::Refused(refusal) | Access::KindDeleted(refusal) => Some(refusal.reason),
            Access::Granted | Access::NotYet => None,
        }
    }

    #[test]
    fn namespaces_are_allowed_by_all_none_or_selector() {
        let cases = [
            (NamespacesFrom::All, None, Access::Granted),
            (NamespacesFrom::Selector, Some("a"), Access::Granted),
            (NamespacesFrom::Selector, None, Access::NotYet),
        ];
        for (from, team, expected) in cases {
            assert_eq!(ask(&claim(), &kind(from), team), expected, "{from:?}");
        }
        for (from, team) in [
            (NamespacesFrom::None, Some("a")),
            (NamespacesFrom::Selector, Some("b")),
        ] {
            let access = ask(&claim(), &kind(from), team);
            assert_eq!(reason_of(&access), Some(reason::REASON_KIND_NOT_ALLOWED));
        }
    }

    #[test]
    fn a_missing_kind_was_deleted_if_the_claim_was_bound() {
        let mut claim = claim();
        let missing = access("default", &claim, None, None);
        assert!(matches!(missing, Access::Refused(_)));
        assert_eq!(reason_of(&missing), Some(reason::REASON_KIND_NOT_FOUND));
        claim.status.uuid = Some("u".into());
        let deleted = access("default", &claim, None, None);
        assert!(matches!(deleted, Access::KindDeleted(_)));
        assert_eq!(reason_of(&deleted), Some(reason::REASON_KIND_DELETED));
    }

    #[test]
    fn kinds_that_are_not_the_networks_are_refused() {
        let mut other = kind(NamespacesFrom::All);
        other.spec.network_name = "staging".into();
        let access_to_other = ask(&claim(), &other, None);
        assert_eq!(
            reason_of(&access_to_other),
            Some(reason::REASON_KIND_OF_OTHER_NETWORK)
        );
        let kind = kind(NamespacesFrom::All);
        let state = KindState::Conflict {
            with: "older".into(),
        };
        let refused = access("default", &claim(), Some((&kind, &state)), None);
        assert_eq!(reason_of(&refused), Some(reason::REASON_KIND_NOT_ACCEPTED));
    }
}

//! Which ContainerKinds are the specifications of their kind names.

use std::collections::BTreeMap;

use huly_protocol::KindSpec;

use crate::model::Kind;

/// What a ContainerKind is to the operator's network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KindState {
    /// The specification of its kind name.
    Accepted(KindSpec),
    /// An older ContainerKind has its kind name.
    Conflict {
        /// The name of the older one.
        with: String,
    },
    /// It belongs to another network.
    OtherNetwork,
}

/// The state of each ContainerKind by its object name: of those with one kind name in the network,
/// the oldest is accepted.
pub(crate) fn plan_kinds<'a>(
    network: &str,
    kinds: impl IntoIterator<Item = &'a Kind>,
) -> BTreeMap<String, KindState> {
    let mut states = BTreeMap::new();
    let mut oldest: BTreeMap<&str, &Kind> = BTreeMap::new();
    let mut ours = Vec::new();
    for kind in kinds {
        if kind.spec.network_name != network {
            states.insert(kind.name.clone(), KindState::OtherNetwork);
            continue;
        }
        ours.push(kind);
        let winner = oldest.entry(kind.kind_name()).or_insert(kind);
        if kind.age < winner.age {
            *winner = kind;
        }
    }
    for kind in ours {
        let state = match oldest.get(kind.kind_name()) {
            Some(winner) if winner.age != kind.age => KindState::Conflict {
                with: winner.name.clone(),
            },
            _ => KindState::Accepted(kind.wire_spec()),
        };
        states.insert(kind.name.clone(), state);
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Age;

    fn kind(name: &str, kind_name: Option<&str>, created: i64, uid: &str) -> Kind {
        let mut kind = Kind {
            name: name.into(),
            age: Age {
                created,
                uid: uid.into(),
            },
            generation: 1,
            ..Kind::default()
        };
        kind.spec.network_name = "default".into();
        kind.spec.kind_name = kind_name.map(str::to_owned);
        kind
    }

    fn conflict(with: &str) -> KindState {
        KindState::Conflict { with: with.into() }
    }

    #[test]
    fn the_oldest_of_one_kind_name_is_accepted() {
        let kinds = [
            kind("b", Some("echo"), 5, "2"),
            kind("a", Some("echo"), 5, "3"),
            kind("echo", None, 6, "1"),
            kind("other", None, 9, "4"),
        ];
        let states = plan_kinds("default", &kinds);
        assert_eq!(states["b"], KindState::Accepted(kinds[0].wire_spec()));
        assert_eq!(states["a"], conflict("b"));
        assert_eq!(states["echo"], conflict("b"));
        assert_eq!(states["other"], KindState::Accepted(kinds[3].wire_spec()));
        // The order that they are seen in does not matter.
        assert_eq!(plan_kinds("default", kinds.iter().rev()), states);
    }

    #[test]
    fn kinds_of_other_networks_conflict_with_nothing() {
        let mut older = kind("old", Some("echo"), 1, "1");
        older.spec.network_name = "staging".into();
        let kinds = [older, kind("echo", None, 2, "2")];
        let states = plan_kinds("default", &kinds);
        assert_eq!(states["old"], KindState::OtherNetwork);
        assert!(matches!(states["echo"], KindState::Accepted(_)));
    }
}

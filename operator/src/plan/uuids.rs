//! Which of the claims with one uuid have it.

use huly_operator_api::UuidScope;
use huly_operator_api::condition::claim as reason;

use super::Refusal;

/// A claim that may have a container and asks for the uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker<'a> {
    pub(crate) uid: &'a str,
    pub(crate) namespace: &'a str,
    /// The kind's name on the wire.
    pub(crate) kind: &'a str,
    /// As the kind says.
    pub(crate) scope: UuidScope,
}

/// Whether the asker may share the uuid with its owner, the first asker. Askers are ordered by
/// age.
///
/// # Errors
/// Why it may not.
pub(crate) fn share(uuid: &str, owner: &Asker<'_>, asker: &Asker<'_>) -> Result<(), Refusal> {
    if asker.uid == owner.uid {
        return Ok(());
    }
    if asker.kind != owner.kind {
        let message = format!(
            "the uuid {uuid} belongs to an older claim of the kind {}: use another uuid",
            owner.kind
        );
        return Err(Refusal::new(reason::REASON_UUID_OF_OTHER_KIND, message));
    }
    if asker.namespace != owner.namespace && asker.scope == UuidScope::Namespace {
        let message = format!(
            "the uuid {uuid} belongs to an older claim of another namespace: use another uuid, or \
             a ContainerKind with allowedNamespaces.uuidScope: Cluster"
        );
        return Err(Refusal::new(reason::REASON_UUID_IN_USE, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(
        uid: &'static str,
        namespace: &'static str,
        kind: &'static str,
        scope: UuidScope,
    ) -> Asker<'static> {
        Asker {
            uid,
            namespace,
            kind,
            scope,
        }
    }

    #[test]
    fn who_shares_a_uuid() {
        use UuidScope::{Cluster, Namespace};
        let owner = asker("1", "a", "echo", Namespace);
        let cases = [
            (owner.clone(), None),
            (asker("2", "a", "echo", Namespace), None),
            (
                asker("2", "b", "echo", Namespace),
                Some(reason::REASON_UUID_IN_USE),
            ),
            (asker("2", "b", "echo", Cluster), None),
            (
                asker("2", "a", "counter", Namespace),
                Some(reason::REASON_UUID_OF_OTHER_KIND),
            ),
            (
                asker("2", "b", "counter", Cluster),
                Some(reason::REASON_UUID_OF_OTHER_KIND),
            ),
        ];
        for (asker, expected) in cases {
            let refused = share("u", &owner, &asker).err();
            assert_eq!(refused.map(|refusal| refusal.reason), expected, "{asker:?}");
        }
    }
}

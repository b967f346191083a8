//! Condition types and their reasons. docs/kinds.md and docs/claims.md list them for people.

/// Conditions of a ContainerKind.
pub mod kind {
    /// The object's specification is the one of its kind name.
    pub const ACCEPTED: &str = "Accepted";
    /// An agent can host containers of the kind.
    pub const SERVED: &str = "Served";
    /// The summary: accepted and served.
    pub const READY: &str = "Ready";

    /// Accepted=True.
    pub const REASON_ACCEPTED: &str = "Accepted";
    /// Accepted=False: an older ContainerKind of the network has the same kind name.
    pub const REASON_NAME_CONFLICT: &str = "NameConflict";
    /// Served=True.
    pub const REASON_SERVED: &str = "Served";
    /// Served=False: no agent of the network serves the kind.
    pub const REASON_NO_AGENTS: &str = "NoAgents";
    /// Served=False: agents serve the kind, and its agentSelector selects none of them.
    pub const REASON_SELECTOR_MISMATCH: &str = "SelectorMismatch";
    /// Served=Unknown: the operator does not reach the network server.
    pub const REASON_NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";
    /// Ready=True.
    pub const REASON_READY: &str = "Ready";

    /// Every reason.
    pub const REASONS: [&str; 7] = [
        REASON_ACCEPTED,
        REASON_NAME_CONFLICT,
        REASON_SERVED,
        REASON_NO_AGENTS,
        REASON_SELECTOR_MISMATCH,
        REASON_NETWORK_UNAVAILABLE,
        REASON_READY,
    ];
}

/// Conditions of a ContainerClaim.
pub mod claim {
    /// The claim holds a container.
    pub const BOUND: &str = "Bound";
    /// The container is where the status says and can be reached.
    pub const AVAILABLE: &str = "Available";
    /// The summary: bound and available.
    pub const READY: &str = "Ready";

    /// Bound=True.
    pub const REASON_BOUND: &str = "Bound";
    /// Bound=False: the network is placing the container or starts it.
    pub const REASON_PLACING: &str = "Placing";
    /// Bound=False: no ContainerKind has the claim's containerKindName.
    pub const REASON_KIND_NOT_FOUND: &str = "KindNotFound";
    /// Bound=False: the ContainerKind is not accepted, as another one has its kind name.
    pub const REASON_KIND_NOT_ACCEPTED: &str = "KindNotAccepted";
    /// Bound=False: the ContainerKind does not allow claims of the claim's namespace.
    pub const REASON_KIND_NOT_ALLOWED: &str = "KindNotAllowed";
    /// Bound=False: the ContainerKind belongs to another network.
    pub const REASON_KIND_OF_OTHER_NETWORK: &str = "KindOfOtherNetwork";
    /// Bound=True: the ContainerKind is deleted and the container lives on. Bound=False: it does
    /// not live any more, and there is no new one.
    pub const REASON_KIND_DELETED: &str = "KindDeleted";
    /// Bound=False: a claim of another namespace has the uuid.
    pub const REASON_UUID_IN_USE: &str = "UuidInUse";
    /// Bound=False: the uuid lives under another kind.
    pub const REASON_UUID_OF_OTHER_KIND: &str = "UuidOfOtherKind";
    /// Bound=False: no agent can host the container now; the message counts why.
    pub const REASON_NOT_PLACEABLE: &str = "NotPlaceable";
    /// Bound=False: the container does not start.
    pub const REASON_START_FAILED: &str = "StartFailed";
    /// Bound=False, Available=Unknown: the operator does not reach the network server.
    pub const REASON_NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";
    /// Available=True.
    pub const REASON_AVAILABLE: &str = "Available";
    /// Available=False: its agent is gone and the network places it again.
    pub const REASON_FAILING_OVER: &str = "FailingOver";
    /// Available=False: the claim is not bound.
    pub const REASON_NOT_BOUND: &str = "NotBound";
    /// Ready=True.
    pub const REASON_READY: &str = "Ready";

    /// Every reason.
    pub const REASONS: [&str; 16] = [
        REASON_BOUND,
        REASON_PLACING,
        REASON_KIND_NOT_FOUND,
        REASON_KIND_NOT_ACCEPTED,
        REASON_KIND_NOT_ALLOWED,
        REASON_KIND_OF_OTHER_NETWORK,
        REASON_KIND_DELETED,
        REASON_UUID_IN_USE,
        REASON_UUID_OF_OTHER_KIND,
        REASON_NOT_PLACEABLE,
        REASON_START_FAILED,
        REASON_NETWORK_UNAVAILABLE,
        REASON_AVAILABLE,
        REASON_FAILING_OVER,
        REASON_NOT_BOUND,
        REASON_READY,
    ];
}

/// Reasons of Events about claims.
pub mod event {
    /// The claim's container was placed, later than 1 s after the claim was seen.
    pub const BOUND: &str = "Bound";
    /// The container was placed again.
    pub const FAILED_OVER: &str = "FailedOver";
    /// No agent can host the container now, or the claim may not have one.
    pub const NOT_PLACEABLE: &str = "NotPlaceable";
    /// The claim was deleted and its container released.
    pub const RELEASED: &str = "Released";
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &str = include_str!("../../../docs/kinds.md");
    const CLAIMS: &str = include_str!("../../../docs/claims.md");

    #[test]
    fn every_reason_is_documented() {
        for (page, text, names) in [
            ("kinds.md", KINDS, &kind::REASONS[..]),
            ("claims.md", CLAIMS, &claim::REASONS[..]),
        ] {
            for name in names {
                let cell = format!("| `{name}`");
                assert!(text.contains(&cell), "docs/{page} does not tell of {name}");
            }
        }
        for name in [
            event::BOUND,
            event::FAILED_OVER,
            event::NOT_PLACEABLE,
            event::RELEASED,
        ] {
            assert!(CLAIMS.contains(&format!("| `{name}`")), "{name}");
        }
    }
}

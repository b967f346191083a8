//! The validation rules (CEL) of the custom resources. Each message says what to do.

use kube::core::Rule;

/// Refuses another network for an existing object.
pub const NETWORK_NAME: &str =
    "networkName is immutable: delete the object and create it in the other network";
/// Refuses another kind name for an existing kind.
pub const KIND_NAME: &str =
    "kindName is immutable: create another ContainerKind for the other name";
/// Refuses another stateless uuid for an existing kind.
pub const STATELESS: &str =
    "stateless is immutable: delete the ContainerKind and create it with the other uuid";
/// Refuses to make an existing kind exclusive, or no longer so.
pub const EXCLUSIVE: &str =
    "exclusive is immutable: delete the ContainerKind and create it with the other value";
/// Refuses another kind for an existing claim.
pub const CONTAINER_KIND_NAME: &str =
    "containerKindName is immutable: delete the claim and create one of the other kind";
/// Refuses another uuid for an existing claim.
pub const UUID: &str = "uuid is immutable: delete the claim and create one with the other uuid";
/// Refuses other labels for an existing claim.
pub const CONTAINER_LABELS: &str =
    "containerLabels is immutable: delete the claim and create one with the other labels";
/// Refuses another extra for an existing claim.
pub const EXTRA: &str = "extra is immutable: delete the claim and create one with the other extra";
/// Refuses values without need, and none where they are needed.
pub const VALUES: &str =
    "values goes with the operators In and NotIn, at least one, and with no other: mend the values";
/// Refuses a selector without need, and none where it is needed.
pub const SELECTOR: &str =
    "selector goes with from: Selector, and only then: set both or leave the selector out";

/// Rules of a claim's spec.
pub fn claim_spec() -> Vec<Rule> {
    vec![
        required("networkName", NETWORK_NAME),
        required("containerKindName", CONTAINER_KIND_NAME),
        optional("uuid", UUID),
        optional("containerLabels", CONTAINER_LABELS),
        optional("extra", EXTRA),
    ]
}

/// Rules of a kind's spec.
pub fn kind_spec() -> Vec<Rule> {
    vec![
        required("networkName", NETWORK_NAME),
        optional("kindName", KIND_NAME),
        required("exclusive", EXCLUSIVE),
        optional("stateless", STATELESS),
    ]
}

/// Rules of who may claim.
pub fn allowed_namespaces() -> Vec<Rule> {
    vec![Rule::new("(self.from == 'Selector') == has(self.selector)").message(SELECTOR)]
}

/// Rules of a selector's requirement.
pub fn requirement() -> Vec<Rule> {
    let rule = "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)";
    vec![Rule::new(rule).message(VALUES)]
}

/// A field that is always there does not change.
fn required(field: &str, message: &str) -> Rule {
    let rule = format!("self.{field} == oldSelf.{field}");
    Rule::new(rule)
        .message(message)
        .field_path(format!(".{field}"))
}

/// A field that may be absent does not come, go or change.
fn optional(field: &str, message: &str) -> Rule {
    let rule = format!(
        "has(self.{field}) == has(oldSelf.{field}) && \
         (!has(self.{field}) || self.{field} == oldSelf.{field})"
    );
    Rule::new(rule)
        .message(message)
        .field_path(format!(".{field}"))
}

use huly_operator_api::GROUP;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// What the operator does to which resources: (group, resource, verbs).
const RULES: [(&str, &str, &[&str]); 6] = [
    (GROUP, "containerkinds", &["get", "list", "watch"]),
    (GROUP, "containerclaims", &["get", "list", "watch"]),
    (GROUP, "containerkinds/status", &["patch"]),
    (GROUP, "containerclaims/status", &["patch"]),
    // Their labels, for allowedNamespaces; kube-system's uid, for the operator's client id.
    ("", "namespaces", &["get", "list", "watch"]),
    ("events.k8s.io", "events", &["create"]),
];

/// The role that the operator needs.
pub(crate) fn cluster_role() -> ClusterRole {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rules = RULES.map(|(group, resource, verbs)| PolicyRule {
        api_groups: Some(owned(&[group])),
        resources: Some(owned(&[resource])),
        verbs: owned(verbs),
        ..PolicyRule::default()
    });
    ClusterRole {
        metadata: ObjectMeta {
            name: Some("huly-operator".to_owned()),
            ..ObjectMeta::default()
        },
        rules: Some(rules.into()),
        ..ClusterRole::default()
    }
}

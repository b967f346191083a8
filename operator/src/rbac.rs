use huly_operator_api::GROUP;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

/// What is done to which resource: (group, resource, verbs).
type Rule = (&'static str, &'static str, &'static [&'static str]);

/// What the operator does.
const OPERATOR: [Rule; 6] = [
    (GROUP, "containerkinds", &["get", "list", "watch"]),
    (GROUP, "containerclaims", &["get", "list", "watch"]),
    (GROUP, "containerkinds/status", &["patch"]),
    (GROUP, "containerclaims/status", &["patch"]),
    // Their labels, for allowedNamespaces; kube-system's uid, for the operator's client id.
    ("", "namespaces", &["get", "list", "watch"]),
    ("events.k8s.io", "events", &["create"]),
];

/// What it does in its namespace: one of several leads.
const LEADER: [Rule; 1] = [("coordination.k8s.io", "leases", &["get", "create", "patch"])];

/// What `huly-operator check` does in the whole cluster. It lists, for the kind may be there.
const CHECK_CLUSTER: [Rule; 1] = [(GROUP, "containerkinds", &["list", "create", "delete"])];

/// What it does in its namespace.
const CHECK_NAMESPACE: [Rule; 1] = [(
    GROUP,
    "containerclaims",
    &["list", "watch", "create", "delete"],
)];

/// A role as it is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Printed {
    Cluster(ClusterRole),
    Namespace(Role),
}

/// The roles that the operator and its check need.
pub(crate) fn roles() -> [Printed; 4] {
    [
        cluster_role("huly-operator", &OPERATOR),
        role("huly-operator", &LEADER),
        cluster_role("huly-operator-check", &CHECK_CLUSTER),
        role("huly-operator-check", &CHECK_NAMESPACE),
    ]
}

fn role(name: &str, all: &[Rule]) -> Printed {
    Printed::Namespace(Role {
        metadata: named(name),
        rules: Some(rules(all)),
    })
}

fn cluster_role(name: &str, all: &[Rule]) -> Printed {
    Printed::Cluster(ClusterRole {
        metadata: named(name),
        rules: Some(rules(all)),
        ..ClusterRole::default()
    })
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn rules(all: &[Rule]) -> Vec<PolicyRule> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rule = |(group, resource, verbs): &Rule| PolicyRule {
        api_groups: Some(owned(&[group])),
        resources: Some(owned(&[resource])),
        verbs: owned(verbs),
        ..PolicyRule::default()
    };
    all.iter().map(rule).collect()
}

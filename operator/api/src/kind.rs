use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LabelSelector, default_network_name, rules, schema};

/// Says how a kind of container is placed and how long its containers live.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "network.huly.io",
    version = "v1alpha1",
    kind = "ContainerKind",
    shortname = "ck",
    category = "huly",
    status = "ContainerKindStatus",
    derive = "PartialEq",
    doc = "A ContainerKind says how a kind of container is placed, how long its containers live and who may claim one.",
    selectable = ".spec.networkName",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the kind is accepted and an agent can host it"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is Ready or not"
    ),
    printcolumn(
        name = "Agents",
        type_ = "integer",
        json_path = ".status.agents",
        description = "Agents that can host it"
    ),
    printcolumn(
        name = "Containers",
        type_ = "integer",
        json_path = ".status.containers",
        description = "Its living containers"
    ),
    printcolumn(
        name = "References",
        type_ = "integer",
        json_path = ".status.references",
        description = "Holds on its containers"
    ),
    printcolumn(
        name = "Standbys",
        type_ = "integer",
        json_path = ".status.standbys",
        description = "Containers that stand by for its stateless uuid",
        priority = "1"
    ),
    printcolumn(
        name = "Network",
        type_ = "string",
        json_path = ".spec.networkName",
        description = "The network it belongs to",
        priority = "1"
    ),
    printcolumn(
        name = "Kind name",
        type_ = "string",
        json_path = ".spec.kindName",
        description = "Its name on the wire where it is not the object's",
        priority = "1"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::kind_spec()))]
pub struct ContainerKindSpec {
    /// The network that the kind belongs to. Immutable.
    #[serde(default = "default_network_name")]
    #[schemars(length(min = 1, max = 253))]
    pub network_name: String,
    /// The kind's name on the wire; the object's name when absent. Immutable. Of two objects with
    /// one kind name in a network the older wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub kind_name: Option<String>,
    /// Whether at most one container of a uuid accepts requests, also while agents are paused or cut
    /// off: one whose agent has not reached the network server for a lease (1 s) waits. Immutable.
    #[serde(default)]
    pub exclusive: bool,
    /// Which agents host its containers.
    #[serde(default)]
    pub placement: Placement,
    /// How long its containers live.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Whether a container of the kind is asked one thing at a time: a request begins when the one
    /// before has its answer. A change holds for containers that start later.
    #[serde(default)]
    pub serial: bool,
    /// A container that is made beforehand on every agent that may host it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateless: Option<Stateless>,
    /// Who may claim its containers.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
}

impl ContainerKind {
    /// The kind's name on the wire.
    pub fn kind_name(&self) -> String {
        match &self.spec.kind_name {
            Some(name) => name.clone(),
            None => self.name_any(),
        }
    }
}

/// Which agents host a kind's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Agents whose labels it selects; every agent when empty. A container is never placed on
    /// another agent.
    #[serde(default, skip_serializing_if = "LabelSelector::is_empty")]
    #[schemars(default = "LabelSelector::default")]
    pub agent_selector: LabelSelector,
    /// How one of them is picked.
    #[serde(default)]
    pub strategy: Strategy,
    /// The most containers of the kind on one agent; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_per_agent: Option<u32>,
}

/// How an agent is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
}

/// How long a kind's containers live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// How long a container lives that nobody holds a reference to.
    #[serde(default = "idle_timeout_seconds")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub idle_timeout_seconds: u32,
    /// How long a container may take to start.
    #[serde(default = "start_timeout_seconds")]
    #[schemars(range(min = 1, max = 3_600))]
    pub start_timeout_seconds: u32,
    /// How long a container may take to end.
    #[serde(default = "termination_grace_period_seconds")]
    #[schemars(range(min = 0, max = 3_600))]
    pub termination_grace_period_seconds: u32,
}

fn idle_timeout_seconds() -> u32 {
    5
}

fn start_timeout_seconds() -> u32 {
    30
}

fn termination_grace_period_seconds() -> u32 {
    10
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            idle_timeout_seconds: idle_timeout_seconds(),
            start_timeout_seconds: start_timeout_seconds(),
            termination_grace_period_seconds: termination_grace_period_seconds(),
        }
    }
}

/// A container that is made beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stateless {
    /// Its uuid. Every agent that may host the kind makes one under it: one has the uuid, the others
    /// stand by, and one of those has it next.
    #[schemars(length(min = 1, max = 253))]
    pub uuid: String,
}

/// Who may claim a kind's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::allowed_namespaces()))]
pub struct AllowedNamespaces {
    /// Claims of which namespaces are served.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Over the labels of namespaces; with from: Selector, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Whether claims of several namespaces may share a container by its uuid.
    #[serde(default)]
    pub uuid_scope: UuidScope,
}

/// Claims of which namespaces are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// Of all.
    #[default]
    All,
    /// Of those that the selector selects.
    Selector,
    /// Of none.
    None,
}

/// Who may share a container by its uuid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UuidScope {
    /// Claims of one namespace: that of the first claim, by creation time, then uid.
    #[default]
    Namespace,
    /// Claims of all namespaces.
    Cluster,
}

/// What became of a kind. The first numbers show at once; then they are written at most every 30 s.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerKindStatus {
    /// The metadata.generation that the status is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many agents can host it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<i64>,
    /// How many of its containers live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<i64>,
    /// How many references to them there are. Absent of a kind with very many containers: see the
    /// metric huly_network_references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<i64>,
    /// How many containers stand by: they are ready to have the kind's stateless uuid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standbys: Option<i64>,
    /// The agents with the most of its containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["agent"])
    )]
    pub agent_statuses: Vec<AgentStatus>,
    /// Accepted, Served and Ready, see docs/kinds.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A kind on one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The agent.
    #[schemars(length(max = 512))]
    pub agent: String,
    /// The node that it runs on, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_name: Option<String>,
    /// How many of the kind's containers live on it.
    pub containers: i64,
}

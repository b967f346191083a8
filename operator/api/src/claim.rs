use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{default_network_name, rules, schema};

/// Asks for one container and shows where it lives.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "network.huly.io",
    version = "v1alpha1",
    kind = "ContainerClaim",
    namespaced,
    shortname = "ccl",
    category = "huly",
    status = "ContainerClaimStatus",
    derive = "PartialEq",
    doc = "A ContainerClaim asks for one container of a ContainerKind and shows where it lives, its labels and each failover. The container lives as long as the claim; deleting the claim releases it.",
    selectable = ".spec.networkName",
    selectable = ".spec.containerKindName",
    selectable = ".status.nodeName",
    printcolumn(
        name = "Kind",
        type_ = "string",
        json_path = ".spec.containerKindName",
        description = "The ContainerKind that is asked for"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the container is bound and can be reached"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is Ready or not"
    ),
    printcolumn(
        name = "UUID",
        type_ = "string",
        json_path = ".status.uuid",
        description = "The container"
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.agent",
        description = "The agent that hosts it"
    ),
    printcolumn(
        name = "Node",
        type_ = "string",
        json_path = ".status.nodeName",
        description = "The node of that agent"
    ),
    printcolumn(
        name = "Failovers",
        type_ = "integer",
        json_path = ".status.failovers",
        description = "How often it was placed again"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::claim_spec()))]
pub struct ContainerClaimSpec {
    /// The network that the claim belongs to. Immutable.
    #[serde(default = "default_network_name")]
    #[schemars(length(min = 1, max = 253))]
    pub network_name: String,
    /// The name of the ContainerKind object that is asked for. Immutable.
    #[schemars(length(min = 1, max = 253))]
    pub container_kind_name: String,
    /// The container's uuid, any text. Claims with the same uuid share a container, within the
    /// ContainerKind's uuidScope. Without one the claim's own metadata.uid is used, so that it is
    /// a container of its own. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub uuid: Option<String>,
    /// Labels that the container is started with. Immutable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::container_labels")]
    pub container_labels: Vec<String>,
    /// Handed to the container at its start. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::extra")]
    pub extra: Option<Map<String, Value>>,
}

/// Where a claim's container lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerClaimStatus {
    /// The metadata.generation that the status is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The container's uuid, once it was bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub uuid: Option<String>,
    /// The agent that hosts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub agent: Option<String>,
    /// The node that the agent runs on, as the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_name: Option<String>,
    /// The Pod that the agent runs in, as NAMESPACE/NAME.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub pod_name: Option<String>,
    /// Where it accepts connections, as host:port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub endpoint: Option<String>,
    /// Whether the endpoint is its agent's or its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<EndpointMode>,
    /// The container's labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::shown_labels")]
    pub container_labels: Vec<String>,
    /// Which life of the uuid it is, as TERM.N: the later placement has the higher one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub epoch: Option<String>,
    /// How often it was placed again since the uuid was first placed, as the network server counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failovers: Option<i64>,
    /// The last time that it was placed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<FailoverStatus>,
    /// Bound, Available and Ready, see docs/claims.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How a container is reached directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndpointMode {
    /// Through the connection of its agent.
    Routed,
    /// Through a connection of its own.
    Direct,
}

/// One failover of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverStatus {
    /// The agent it lived on.
    #[schemars(length(max = 512))]
    pub from: String,
    /// The agent it was placed on.
    #[schemars(length(max = 512))]
    pub to: String,
    /// Why, a constant: AgentSilent, ConnectionClosed, AgentUnregistered, AgentDraining,
    /// ContainerEnded.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// When it was there again.
    #[schemars(schema_with = "schema::time")]
    pub time: MicroTime,
    /// From the last sign of its life there to its being there again.
    pub duration_milliseconds: i64,
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How agents are picked for the containers of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
}

/// The operator of a requirement on a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How the values are compared.
    pub operator: Operator,
    /// The values, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A label selector over agent labels, with the meaning of Kubernetes' own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that must all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

impl LabelSelector {
    /// Whether `labels` fulfil the selector; an empty one is fulfilled by all.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| {
                let value = labels.get(&requirement.key);
                let listed = value.is_some_and(|value| requirement.values.contains(value));
                match requirement.operator {
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }

    /// Whether the selector asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

/// How a kind is placed and how long its containers live (extension): what a ContainerKind says.
///
/// A kind without one is placed on any agent that serves it, with the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KindSpec {
    /// The kind's name on the wire.
    pub kind: String,
    /// Which version of the specification this is: the higher one is the later.
    pub revision: u64,
    /// Which agents may host it.
    #[serde(default, skip_serializing_if = "LabelSelector::is_empty")]
    pub agent_selector: LabelSelector,
    /// How one of them is picked.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many containers of the kind an agent may host; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_agent: Option<u32>,
    /// How long a container without references lives, in ms; 5,000 when absent (W16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// How long a container may take to start, in ms; 30,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_ms: Option<u64>,
    /// How long a container may take to end, in ms; 10,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_ms: Option<u64>,
    /// The uuid under which every agent that may host the kind makes a container beforehand: one
    /// owns the uuid, the others stand by (W19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateless_uuid: Option<String>,
    /// A container of the kind is asked one thing at a time: a request begins when the one before
    /// has its answer. It holds for a life of a container from its start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serial: bool,
}

impl KindSpec {
    /// The idle time without a specification, in ms (W16).
    pub const DEFAULT_IDLE_TIMEOUT_MS: u64 = 5_000;
    /// The start timeout without a specification, in ms.
    pub const DEFAULT_START_TIMEOUT_MS: u64 = 30_000;
    /// The termination grace without a specification, in ms.
    pub const DEFAULT_TERMINATION_GRACE_MS: u64 = 10_000;

    /// The specification that says nothing: revision 0, every default.
    pub fn defaults(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            revision: 0,
            agent_selector: LabelSelector::default(),
            strategy: Strategy::default(),
            max_per_agent: None,
            idle_timeout_ms: None,
            start_timeout_ms: None,
            termination_grace_ms: None,
            stateless_uuid: None,
            serial: false,
        }
    }

    /// The idle time in ms.
    pub fn idle_timeout_ms(&self) -> u64 {
        self.idle_timeout_ms
            .unwrap_or(Self::DEFAULT_IDLE_TIMEOUT_MS)
    }

    /// The start timeout in ms.
    pub fn start_timeout_ms(&self) -> u64 {
        self.start_timeout_ms
            .unwrap_or(Self::DEFAULT_START_TIMEOUT_MS)
    }

    /// The termination grace in ms.
    pub fn termination_grace_ms(&self) -> u64 {
        self.termination_grace_ms
            .unwrap_or(Self::DEFAULT_TERMINATION_GRACE_MS)
    }
}

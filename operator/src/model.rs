//! What the operator keeps of the objects that it watches.

use std::collections::BTreeMap;

use huly_operator_api as api;
use huly_operator_api::{ContainerClaim, ContainerKind};
use huly_protocol as protocol;
use huly_protocol::KindSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The order of objects by age: creation time in seconds since 1970, then uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Age {
    pub(crate) created: i64,
    pub(crate) uid: String,
}

impl Age {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            created: meta
                .creation_timestamp
                .as_ref()
                .map(|time| time.0.as_second())
                .unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }
}

/// A resource version; later ones of one resource are higher.
fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

/// A ContainerKind.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) age: Age,
    pub(crate) generation: i64,
    pub(crate) version: u64,
    pub(crate) spec: api::ContainerKindSpec,
    pub(crate) status: api::ContainerKindStatus,
}

impl From<ContainerKind> for Kind {
    fn from(object: ContainerKind) -> Self {
        Self {
            age: Age::of(&object.metadata),
            generation: object.metadata.generation.unwrap_or_default(),
            version: version(&object.metadata),
            name: object.metadata.name.unwrap_or_default(),
            spec: object.spec,
            status: object.status.unwrap_or_default(),
        }
    }
}

impl Kind {
    /// Its name on the wire.
    pub(crate) fn kind_name(&self) -> &str {
        self.spec.kind_name.as_deref().unwrap_or(&self.name)
    }

    /// What the network server is told.
    pub(crate) fn wire_spec(&self) -> KindSpec {
        let lifecycle = &self.spec.lifecycle;
        KindSpec {
            kind: self.kind_name().to_owned(),
            revision: self.revision(),
            agent_selector: selector(&self.spec.placement.agent_selector),
            strategy: match self.spec.placement.strategy {
                api::Strategy::RoundRobin => protocol::Strategy::RoundRobin,
            },
            max_per_agent: self.spec.placement.max_per_agent,
            idle_timeout_ms: Some(milliseconds(lifecycle.idle_timeout_seconds)),
            start_timeout_ms: Some(milliseconds(lifecycle.start_timeout_seconds)),
            termination_grace_ms: Some(milliseconds(lifecycle.termination_grace_period_seconds)),
            stateless_uuid: self.spec.stateless.as_ref().map(|one| one.uuid.clone()),
            serial: self.spec.serial,
        }
    }

    /// Rises with each generation and, as it begins with the creation time, across re-creations.
    fn revision(&self) -> u64 {
        const BITS: u32 = 20;
        let created = u64::try_from(self.age.created).unwrap_or_default();
        let generation = u64::try_from(self.generation).unwrap_or_default();
        (created << BITS) | generation.min((1 << BITS) - 1)
    }
}

fn milliseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000
}

/// The selector as the wire has it.
pub(crate) fn selector(selector: &api::LabelSelector) -> protocol::LabelSelector {
    let requirement = |requirement: &api::Requirement| protocol::Requirement {
        key: requirement.key.clone(),
        operator: match requirement.operator {
            api::Operator::In => protocol::Operator::In,
            api::Operator::NotIn => protocol::Operator::NotIn,
            api::Operator::Exists => protocol::Operator::Exists,
            api::Operator::DoesNotExist => protocol::Operator::DoesNotExist,
        },
        values: requirement.values.clone(),
    };
    protocol::LabelSelector {
        match_labels: selector.match_labels.clone(),
        match_expressions: selector.match_expressions.iter().map(requirement).collect(),
    }
}

/// A ContainerClaim.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Claim {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) age: Age,
    pub(crate) generation: i64,
    pub(crate) version: u64,
    pub(crate) spec: api::ContainerClaimSpec,
    pub(crate) status: api::ContainerClaimStatus,
}

impl From<ContainerClaim> for Claim {
    fn from(object: ContainerClaim) -> Self {
        Self {
            age: Age::of(&object.metadata),
            generation: object.metadata.generation.unwrap_or_default(),
            version: version(&object.metadata),
            namespace: object.metadata.namespace.unwrap_or_default(),
            name: object.metadata.name.unwrap_or_default(),
            spec: object.spec,
            status: object.status.unwrap_or_default(),
        }
    }
}

impl Claim {
    /// The uuid that it asks for.
    pub(crate) fn uuid(&self) -> &str {
        self.spec.uuid.as_deref().unwrap_or(&self.age.uid)
    }

    /// Whether it had a container once and was not refused since.
    pub(crate) fn was_bound(&self) -> bool {
        self.status.uuid.is_some()
    }
}

/// A Namespace.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl From<ObjectMeta> for Namespace {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            name: meta.name.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(created: i64, generation: i64) -> Kind {
        Kind {
            name: "echo".into(),
            age: Age {
                created,
                uid: "u".into(),
            },
            generation,
            ..Kind::default()
        }
    }

    #[test]
    fn the_defaults_of_the_resource_are_those_of_the_wire() {
        let spec = kind(0, 0).wire_spec();
        assert_eq!(
            spec.idle_timeout_ms,
            Some(KindSpec::DEFAULT_IDLE_TIMEOUT_MS)
        );
        assert_eq!(
            spec.start_timeout_ms,
            Some(KindSpec::DEFAULT_START_TIMEOUT_MS)
        );
        assert_eq!(
            spec.termination_grace_ms,
            Some(KindSpec::DEFAULT_TERMINATION_GRACE_MS)
        );
        assert!(spec.agent_selector.is_empty());
        assert_eq!((spec.max_per_agent, spec.stateless_uuid), (None, None));
        assert!(!spec.serial);
    }

    #[test]
    fn a_serial_kind_is_one_on_the_wire() {
        let mut serial = kind(0, 1);
        serial.spec.serial = true;
        assert!(serial.wire_spec().serial);
    }

    #[test]
    fn a_revision_rises_with_generations_and_re_creations() {
        let now = 1_780_000_000;
        let revisions = [kind(now, 1), kind(now, 2), kind(now + 1, 1)].map(|k| k.revision());
        assert!(revisions.is_sorted(), "{revisions:?}");
        assert!(kind(now, i64::MAX).revision() < kind(now + 1, 1).revision());
    }

    #[test]
    fn the_kind_name_is_the_objects_unless_told() {
        let mut kind = kind(0, 1);
        assert_eq!(kind.kind_name(), "echo");
        kind.spec.kind_name = Some("Echo:v2".into());
        assert_eq!(kind.wire_spec().kind, "Echo:v2");
    }
}

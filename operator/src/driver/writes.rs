//! Writes of statuses: merge patches by one field manager, bound to the object's uid.

use huly_operator_api::{ContainerClaim, ContainerClaimStatus, ContainerKind, ContainerKindStatus};
use huly_program::with_causes;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Error};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::core::{ClaimRef, Outcome, WriteError};

/// Who writes, as the objects' managedFields say.
const FIELD_MANAGER: &str = "huly-operator";

/// Members of a claim's status that may be absent, and then are removed.
const CLAIM_FIELDS: [&str; 12] = [
    "observedGeneration",
    "uuid",
    "agent",
    "nodeName",
    "podName",
    "endpoint",
    "mode",
    "containerLabels",
    "epoch",
    "failovers",
    "lastFailover",
    "conditions",
];

/// The same of a kind's.
const KIND_FIELDS: [&str; 7] = [
    "observedGeneration",
    "agents",
    "containers",
    "references",
    "standbys",
    "agentStatuses",
    "conditions",
];

/// Writes statuses.
#[derive(Clone)]
pub(super) struct Writer {
    kube: Client,
    params: PatchParams,
}

impl Writer {
    pub(super) fn new(kube: Client) -> Self {
        Self {
            kube,
            params: PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            },
        }
    }

    pub(super) async fn write_claim(
        &self,
        claim: ClaimRef,
        status: &ContainerClaimStatus,
    ) -> Outcome {
        // Of the answer only the version is of interest.
        let claims: Api<PartialObjectMeta<ContainerClaim>> =
            Api::namespaced(self.kube.clone(), &claim.namespace);
        let patch = patch(&claim.uid, status, &CLAIM_FIELDS);
        let result = claims
            .patch_status(&claim.name, &self.params, &Patch::Merge(patch))
            .await;
        Outcome::ClaimWritten {
            result: written(result, "ContainerClaim", &claim.name),
            uid: claim.uid,
        }
    }

    pub(super) async fn write_kind(
        &self,
        name: String,
        uid: String,
        status: &ContainerKindStatus,
    ) -> Outcome {
        let kinds: Api<PartialObjectMeta<ContainerKind>> = Api::all(self.kube.clone());
        let patch = patch(&uid, status, &KIND_FIELDS);
        let result = kinds
            .patch_status(&name, &self.params, &Patch::Merge(patch))
            .await;
        Outcome::KindWritten {
            result: written(result, "ContainerKind", &name),
            name,
            uid,
        }
    }
}

/// Another object of the same name is refused by its uid.
fn patch<S: Serialize>(uid: &str, status: &S, fields: &[&str]) -> Value {
    let mut members: Map<String, Value> = fields
        .iter()
        .map(|field| ((*field).to_owned(), Value::Null))
        .collect();
    if let Ok(Value::Object(status)) = serde_json::to_value(status) {
        members.extend(status);
    }
    json!({ "metadata": { "uid": uid }, "status": members })
}

fn written<K>(
    result: Result<PartialObjectMeta<K>, Error>,
    what: &str,
    name: &str,
) -> Result<u64, WriteError> {
    match result {
        Ok(object) => Ok(object
            .metadata
            .resource_version
            .and_then(|version| version.parse().ok())
            .unwrap_or_default()),
        Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Err(WriteError::Gone),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                name,
                "cannot write the status of a {what}"
            );
            Err(WriteError::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use huly_operator_api::{AgentStatus, EndpointMode, FailoverStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn names<S: Serialize>(status: &S) -> Vec<String> {
        let Value::Object(members) = serde_json::to_value(status).unwrap() else {
            panic!("a status is an object");
        };
        members.keys().cloned().collect()
    }

    fn sorted(fields: &[&str]) -> Vec<String> {
        let mut fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        fields.sort();
        fields
    }

    fn condition() -> Condition {
        Condition {
            type_: "Ready".into(),
            status: "True".into(),
            reason: "R".into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn every_member_of_a_status_can_be_removed() {
        let claim = ContainerClaimStatus {
            observed_generation: Some(1),
            uuid: Some("u".into()),
            agent: Some("a".into()),
            node_name: Some("n".into()),
            pod_name: Some("p".into()),
            endpoint: Some("e".into()),
            mode: Some(EndpointMode::Direct),
            container_labels: vec!["l".into()],
            epoch: Some("1.1".into()),
            failovers: Some(1),
            last_failover: Some(FailoverStatus {
                from: "a".into(),
                to: "b".into(),
                reason: "R".into(),
                time: MicroTime(Timestamp::UNIX_EPOCH),
                duration_milliseconds: 1,
            }),
            conditions: vec![condition()],
        };
        assert_eq!(names(&claim), sorted(&CLAIM_FIELDS));
        let kind = ContainerKindStatus {
            observed_generation: Some(1),
            agents: Some(1),
            containers: Some(1),
            references: Some(1),
            standbys: Some(1),
            agent_statuses: vec![AgentStatus::default()],
            conditions: vec![condition()],
        };
        assert_eq!(names(&kind), sorted(&KIND_FIELDS));
    }

    #[test]
    fn what_is_absent_is_removed() {
        let status = ContainerKindStatus {
            agents: Some(2),
            ..ContainerKindStatus::default()
        };
        let patch = patch("uid", &status, &KIND_FIELDS);
        assert_eq!(patch["metadata"]["uid"], "uid");
        assert_eq!(patch["status"]["agents"], 2);
        let status = patch["status"].as_object().unwrap();
        assert_eq!(status.len(), KIND_FIELDS.len());
        assert_eq!(status["references"], Value::Null);
    }
}

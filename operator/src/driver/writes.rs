//! Writes of statuses: merge patches by one field manager, bound to the object's uid.

use std::time::Duration;

use huly_operator_api::{ContainerClaim, ContainerClaimStatus, ContainerKind, ContainerKindStatus};
use huly_program::with_causes;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Error};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::core::{ClaimRef, Outcome, WriteError};
use crate::election::Tenure;

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
    tenure: Tenure,
    /// How long a write may take.
    patience: Duration,
    params: PatchParams,
}

impl Writer {
    pub(super) fn new(kube: Client, tenure: Tenure, patience: Duration) -> Self {
        Self {
            kube,
            tenure,
            patience,
            params: PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            },
        }
    }

    /// Does what a leader does, if this process is it still.
    async fn answered<T>(
        &self,
        write: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Unwritten> {
        if !self.tenure.lasts() {
            return Err(Unwritten::NotLeading);
        }
        match timeout(self.patience, write).await {
            Ok(result) => result.map_err(Unwritten::Error),
            Err(_) => Err(Unwritten::Late),
        }
    }

    pub(super) async fn write_claim(
        &self,
        claim: ClaimRef,
        version: u64,
        status: &ContainerClaimStatus,
    ) -> Outcome {
        // Of the answer only the version is of interest.
        let claims: Api<PartialObjectMeta<ContainerClaim>> =
            Api::namespaced(self.kube.clone(), &claim.namespace);
        let patch = Patch::Merge(patch(&claim.uid, version, status, &CLAIM_FIELDS));
        let write = claims.patch_status(&claim.name, &self.params, &patch);
        let result = self.answered(write).await;
        Outcome::ClaimWritten {
            result: written(result, "ContainerClaim", &claim.name),
            uid: claim.uid,
        }
    }

    pub(super) async fn write_kind(
        &self,
        name: String,
        uid: String,
        version: u64,
        status: &ContainerKindStatus,
    ) -> Outcome {
        let kinds: Api<PartialObjectMeta<ContainerKind>> = Api::all(self.kube.clone());
        let patch = Patch::Merge(patch(&uid, version, status, &KIND_FIELDS));
        let result = self
            .answered(kinds.patch_status(&name, &self.params, &patch))
            .await;
        Outcome::KindWritten {
            result: written(result, "ContainerKind", &name),
            name,
            uid,
        }
    }
}

/// Another object of the same name is refused by its uid; one that is not as it was known by its
/// version, so that nothing is written over what a later leader wrote.
fn patch<S: Serialize>(uid: &str, version: u64, status: &S, fields: &[&str]) -> Value {
    let mut members: Map<String, Value> = fields
        .iter()
        .map(|field| ((*field).to_owned(), Value::Null))
        .collect();
    if let Ok(Value::Object(status)) = serde_json::to_value(status) {
        members.extend(status);
    }
    let mut patch = json!({ "metadata": { "uid": uid }, "status": members });
    // 0 is no number that an API server gives.
    if version > 0 {
        patch["metadata"]["resourceVersion"] = version.to_string().into();
    }
    patch
}

fn written<K>(
    result: Result<PartialObjectMeta<K>, Unwritten>,
    what: &str,
    name: &str,
) -> Result<u64, WriteError> {
    let error = match result {
        Ok(object) => {
            let version = object.metadata.resource_version;
            return Ok(version
                .and_then(|version| version.parse().ok())
                .unwrap_or_default());
        }
        Err(error) => error,
    };
    let (why, text) = match error {
        Unwritten::NotLeading => return Err(WriteError::Away),
        Unwritten::Late => (WriteError::Away, "no answer in time".to_owned()),
        Unwritten::Error(Error::Api(status)) if status.code == 404 => return Err(WriteError::Gone),
        Unwritten::Error(Error::Api(status)) if status.code == 409 => {
            return Err(WriteError::Conflict);
        }
        Unwritten::Error(error) => (refused(&error), with_causes(&error)),
    };
    tracing::warn!(error = text, name, "cannot write the status of a {what}");
    Err(why)
}

/// Whether it is the object that is refused, or others would fail, too.
fn refused(error: &Error) -> WriteError {
    match error {
        Error::Api(status) if matches!(status.code, 400..=499) && status.code != 429 => {
            WriteError::Refused
        }
        _ => WriteError::Away,
    }
}

/// Why a request came to nothing.
enum Unwritten {
    /// This process leads no more.
    NotLeading,
    Late,
    Error(Error),
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
        let patch = patch("uid", 7, &status, &KIND_FIELDS);
        let metadata = json!({ "uid": "uid", "resourceVersion": "7" });
        assert_eq!(patch["metadata"], metadata);
        assert_eq!(patch["status"]["agents"], 2);
        let status = patch["status"].as_object().unwrap();
        assert_eq!(status.len(), KIND_FIELDS.len());
        assert_eq!(status["references"], Value::Null);
    }
}

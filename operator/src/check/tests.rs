use huly_operator_api::ContainerKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, from_value, json};

use super::*;

fn kind(name: &str, made: &str, spec: Value) -> ContainerKind {
    from_value(json!({
        "apiVersion": "network.huly.io/v1alpha1",
        "kind": "ContainerKind",
        "metadata": { "name": name, "uid": name, "creationTimestamp": made },
        "spec": spec,
    }))
    .unwrap()
}

fn conditions(all: &[(&str, &str, &str)]) -> ContainerClaimStatus {
    let condition = |(kind, status, reason): &(&str, &str, &str)| -> Condition {
        from_value(json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": format!("why {kind}"),
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    };
    ContainerClaimStatus {
        conditions: all.iter().map(condition).collect(),
        ..ContainerClaimStatus::default()
    }
}

#[test]
fn the_oldest_kind_of_the_name_and_network_is_used() {
    let all = || {
        vec![
            kind("echo", "2026-01-03T00:00:00Z", json!({})),
            kind("old", "2026-01-02T00:00:00Z", json!({ "kindName": "echo" })),
            kind(
                "elsewhere",
                "2026-01-01T00:00:00Z",
                json!({ "kindName": "echo", "networkName": "other" }),
            ),
            kind("counter", "2026-01-01T00:00:00Z", json!({})),
        ]
    };
    assert_eq!(oldest(all(), "default", "echo").as_deref(), Some("old"));
    assert_eq!(oldest(all(), "other", "echo").as_deref(), Some("elsewhere"));
    assert_eq!(oldest(all(), "default", "chat-room"), None);
}

#[test]
fn what_keeps_a_claim_from_being_ready_is_shown() {
    let unbound = conditions(&[
        ("Ready", "False", "NotBound"),
        ("Bound", "False", "NotPlaceable"),
    ]);
    assert!(!is_ready(&unbound));
    assert_eq!(shown(&unbound), "Bound=False/NotPlaceable: why Bound");
    let moving = conditions(&[
        ("Bound", "True", "Bound"),
        ("Ready", "False", "FailingOver"),
    ]);
    assert_eq!(shown(&moving), "Ready=False/FailingOver: why Ready");
    assert!(is_ready(&conditions(&[("Ready", "True", "Ready")])));
}

#[test]
fn what_was_never_made_counts_as_deleted() {
    let answer = |code| -> kube::Result<()> {
        let status = kube::core::Status {
            code,
            ..kube::core::Status::default()
        };
        Err(kube::Error::Api(status.boxed()))
    };
    assert!(deleted(answer(404)).is_ok());
    assert!(deleted(answer(403)).is_err());
}

#[test]
fn a_late_step_says_what_it_saw() {
    let mut progress = Progress::default();
    progress.begin("the moon is full".to_owned());
    let patience = Duration::from_secs(3);
    assert_eq!(
        progress.late(patience).to_string(),
        "not within 3 s: the moon is full"
    );
    progress.seen("half".to_owned());
    assert_eq!(
        progress.late(patience).to_string(),
        "not within 3 s: the moon is full; last seen: half"
    );
}

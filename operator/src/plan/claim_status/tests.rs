use huly_operator_api::EndpointMode;
use huly_protocol::Epoch;

use super::*;

fn fact(agent: &str, failovers: u32) -> Fact {
    Fact {
        kind: "echo".into(),
        agent: agent.into(),
        node: Some("node-1".into()),
        pod: Some("huly/agent-x".into()),
        endpoint: Some("10.0.0.1:3738".into()),
        mode: Some(EndpointMode::Routed),
        labels: vec!["l".into()],
        epoch: Some(Epoch { term: 7, n: 3 }),
        failovers,
        last_failover: (failovers > 0).then(|| Failover {
            from: "old".into(),
            to: agent.into(),
            reason: "AgentSilent".into(),
            time_ms: 1_500,
            duration_ms: 40,
        }),
    }
}

fn bound(fact: Fact) -> Standing {
    Standing::Bound {
        fact: Box::new(fact),
        failing_over: false,
        kind_deleted: None,
    }
}

fn unreachable() -> Standing {
    Standing::Unreachable {
        message: "no answer".into(),
    }
}

fn next(previous: &ContainerClaimStatus, standing: &Standing) -> ContainerClaimStatus {
    claim_status(previous, 1, "u", standing, Timestamp::UNIX_EPOCH).unwrap()
}

/// Each condition as Type=Status/Reason.
fn told(status: &ContainerClaimStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions
        .map(|one| format!("{}={}/{}", one.type_, one.status, one.reason))
        .collect()
}

#[test]
fn a_bound_claim_says_where_its_container_lives() {
    let status = next(&ContainerClaimStatus::default(), &bound(fact("a", 1)));
    assert_eq!(
        told(&status),
        [
            "Bound=True/Bound",
            "Available=True/Available",
            "Ready=True/Ready"
        ]
    );
    let value = serde_json::to_value(&status).unwrap();
    let expected = serde_json::json!({
        "from": "old", "to": "a", "reason": "AgentSilent", "time": "1970-01-01T00:00:01.500000Z",
        "durationMilliseconds": 40
    });
    assert_eq!(value["lastFailover"], expected);
    assert_eq!(value["epoch"], "7.3");
    assert_eq!(value["mode"], "Routed");
    assert_eq!(value["podName"], "huly/agent-x");
    assert_eq!(value["failovers"], 1);
    // Said again, nothing changes.
    assert_eq!(next(&status, &bound(fact("a", 1))), status);
}

#[test]
fn a_refused_claim_shows_no_container() {
    let before = next(&ContainerClaimStatus::default(), &bound(fact("a", 0)));
    let refusal = Refusal::new(reason::REASON_UUID_IN_USE, "why");
    let status = next(&before, &Standing::Refused(refusal));
    assert_eq!(
        told(&status),
        [
            "Bound=False/UuidInUse",
            "Available=False/NotBound",
            "Ready=False/UuidInUse"
        ]
    );
    assert_eq!(
        (status.uuid, status.agent, status.failovers),
        (None, None, None)
    );
}

#[test]
fn an_unplaced_claim_keeps_its_uuid_and_failovers() {
    let before = next(&ContainerClaimStatus::default(), &bound(fact("a", 2)));
    let refusal = Refusal::new(reason::REASON_NOT_PLACEABLE, "0/1 agents: 1 AtCapacity");
    let status = next(&before, &Standing::Unplaced(refusal));
    assert_eq!(told(&status)[2], "Ready=False/NotPlaceable");
    assert_eq!(status.conditions[2].message, "0/1 agents: 1 AtCapacity");
    assert_eq!(status.uuid.as_deref(), Some("u"));
    assert_eq!(status.failovers, Some(2));
    assert_eq!((status.agent, status.endpoint), (None, None));
}

#[test]
fn a_failover_in_progress_keeps_the_claim_bound() {
    let mut standing = bound(fact("a", 0));
    if let Standing::Bound { failing_over, .. } = &mut standing {
        *failing_over = true;
    }
    let status = next(&ContainerClaimStatus::default(), &standing);
    assert_eq!(
        told(&status),
        [
            "Bound=True/Bound",
            "Available=False/FailingOver",
            "Ready=False/FailingOver"
        ]
    );
}

#[test]
fn an_unreachable_network_leaves_the_placement_as_it_was() {
    let before = next(&ContainerClaimStatus::default(), &bound(fact("a", 0)));
    let status = next(&before, &unreachable());
    assert_eq!(
        told(&status),
        [
            "Bound=True/Bound",
            "Available=Unknown/NetworkUnavailable",
            "Ready=Unknown/NetworkUnavailable"
        ]
    );
    assert_eq!(status.agent, before.agent);
    // And back: as before.
    assert_eq!(next(&status, &bound(fact("a", 0))), before);

    let fresh = next(&ContainerClaimStatus::default(), &unreachable());
    assert_eq!(
        told(&fresh),
        [
            "Bound=False/NetworkUnavailable",
            "Available=Unknown/NetworkUnavailable",
            "Ready=False/NetworkUnavailable"
        ]
    );
}

#[test]
fn a_deleted_kind_is_told_while_the_container_lives_on() {
    let deleted = Refusal::new(
        reason::REASON_KIND_DELETED,
        "the ContainerKind echo is deleted",
    );
    let standing = Standing::Bound {
        fact: Box::new(fact("a", 0)),
        failing_over: false,
        kind_deleted: Some(deleted.clone()),
    };
    let status = next(&ContainerClaimStatus::default(), &standing);
    assert_eq!(
        told(&status),
        [
            "Bound=True/KindDeleted",
            "Available=True/Available",
            "Ready=True/KindDeleted"
        ]
    );
    let away = next(&status, &unreachable());
    assert_eq!(told(&away)[0], "Bound=True/KindDeleted");
    let gone = next(&status, &Standing::Unplaced(deleted));
    assert_eq!(told(&gone)[0], "Bound=False/KindDeleted");
}

#[test]
fn nothing_new_is_no_status() {
    let before = ContainerClaimStatus::default();
    let unchanged = Standing::Unchanged;
    assert_eq!(
        claim_status(&before, 1, "u", &unchanged, Timestamp::UNIX_EPOCH),
        None
    );
}

#[test]
fn what_peers_say_fits_the_schema() {
    let mut odd = fact(&"a".repeat(9_000), 0);
    odd.labels = vec!["l".repeat(9_000); 100];
    let status = next(&ContainerClaimStatus::default(), &bound(odd));
    assert_eq!(status.agent.map(|agent| agent.len()), Some(512));
    assert_eq!(status.container_labels.len(), 64);
    assert_eq!(status.container_labels[0].len(), 253);
}

//! An agent at an original (TypeScript) server.

use huly_client::LinkEvent;
use huly_protocol::{AgentRegistration, ContainerRecord, Frame, Op, RecordExt, Stateless};
use serde_json::{Value, json};

use crate::fake::FakeServer;

#[tokio::test]
async fn an_agent_is_told_which_uuids_are_free() {
    let mut server = FakeServer::start().await;
    let client = server.client().build();
    let mut link = client.serve_agent();
    let hello = server.welcome_plainly("server-1").await;
    let fresh = link.events.recv().await.expect("an event");
    assert!(matches!(fresh, LinkEvent::Register));
    let record = ContainerRecord {
        agent_id: "agent-1".into(),
        uuid: "leader".into(),
        kind: "service".into(),
        endpoint: String::new(),
        last_visit: 0.0,
        extra: None,
        labels: None,
        huly: Some(RecordExt {
            stateless: Some(Stateless::Standby),
            ..RecordExt::default()
        }),
    };
    let handle = link.handle();
    handle.register(AgentRegistration {
        uuid: "agent-1".into(),
        containers: vec![record],
        kinds: Vec::new(),
        endpoint: None,
        huly: None,
    });
    let registration = server.request("ar").await;
    let listed = registration.params()["containers"][0].clone();
    assert_eq!(
        (&listed["uuid"], &listed["huly"]),
        (&json!("leader"), &Value::Null)
    );
    server.answer(&registration, json!(["leader"])).await;
    let server_is = link.events.recv().await.expect("an event");
    assert!(matches!(server_is, LinkEvent::Server { original: true }));
    let answered = link.events.recv().await.expect("an event");
    assert!(matches!(answered, LinkEvent::Registered { end, .. } if end == ["leader"]));

    let change = |uuid: &str, event: u8| {
        let record = json!({"agentId": "b", "uuid": uuid, "kind": "service", "endpoint": "",
            "lastVisit": 0});
        json!({"container": record, "event": event})
    };
    let changes = [change("new", 0), change("leader", 2), change("moved", 1)];
    let event = json!({"agents": [], "containers": changes}).to_string();
    server
        .send(&hello.peer, Frame::new(Op::Event, "", event))
        .await;
    let removed = link.events.recv().await.expect("an event");
    assert!(matches!(removed, LinkEvent::Removed { containers } if containers == ["leader"]));
}

//! What an agent says that the server does not answer.

use std::time::Duration;

use huly_client::{ErrorKind, LinkEvent};
use huly_protocol::NetworkEvent;
use tokio::time::timeout;

use crate::fake::{FIRST, FakeServer};

/// A server that was stopped knows the agent's session still when it goes on: nothing else would tell
/// it that the container has ended.
#[tokio::test]
async fn an_agent_whose_words_are_not_answered_is_to_register_again() {
    for (says, method) in [("ended", "cu"), ("leaves", "xg")] {
        let mut server = FakeServer::start().await;
        let client = server.client();
        let client = client.request_timeout(Duration::from_millis(400));
        let client = client.build();
        let mut link = client.serve_agent();
        server.welcome(&FIRST).await;
        link.register(huly_protocol::AgentRegistration {
            uuid: "agent-1".to_owned(),
            containers: Vec::new(),
            kinds: Vec::new(),
            endpoint: None,
            huly: None,
        });
        let registers = server.request("ar").await;
        server.answer(&registers, serde_json::json!([])).await;
        match says {
            "ended" => link.update(NetworkEvent::default()),
            _ => link.drain(),
        }
        server.request(method).await;
        let failed = loop {
            let event = timeout(Duration::from_secs(10), link.events.recv()).await;
            match event.expect("it is told") {
                Some(LinkEvent::RegisterFailed(error)) => break error,
                Some(_) => {}
                None => panic!("the client is open"),
            }
        };
        assert_eq!(failed.kind, ErrorKind::TimedOut);
    }
}

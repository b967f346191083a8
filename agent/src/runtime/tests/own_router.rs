use futures::StreamExt;
use huly_protocol::{Endpoint, EndpointKind};
use zeromq::SocketEvent;

use super::*;

async fn listening() -> (Rig, u16) {
    let kinds = Kinds::new().serve_direct("probe", |context| async {
        Ok(containers::Probe::new(context))
    });
    let mut rig = Rig::with(kinds, |_| {});
    rig.register().await;
    let port = port_of(&rig).await;
    (rig, port)
}

async fn port_of(rig: &Rig) -> u16 {
    let got = rig.get("probe", "u", Value::Null).await.unwrap();
    let endpoint = Endpoint::parse(got[1].as_str().unwrap()).unwrap();
    assert_eq!(endpoint.kind, EndpointKind::Direct);
    assert_ne!(endpoint.port, rig.agent.address().port());
    endpoint.port
}

async fn client(port: u16, id: &str) -> Dealer {
    let mut dealer = Dealer::connect_to(port).await;
    let hello = dealer.say(Op::Hello, id, r#"{"aliveTimeout":60}"#).await;
    assert_eq!(hello.op, Op::Hello);
    dealer
}

#[tokio::test]
async fn a_container_is_asked_and_heard_on_its_own_router() {
    let (rig, port) = listening().await;
    let (mut one, mut two) = (client(port, "c1").await, client(port, "c2").await);
    assert_eq!(
        one.ask("r1", "echo", json!({ "n": 1 })).await,
        Ok(json!({ "n": 1 }))
    );
    let error = one.ask("r2", "nothing", json!(1)).await.unwrap_err();
    assert!(error.message.contains("nothing"), "{error}");
    // Whoever is there hears it, and no uuid is beside it.
    let event = Frame::new(Op::Event, "", r#""hi""#);
    assert_eq!(two.say(Op::Request, "r1", r#"["tell","hi"]"#).await, event);
    assert_eq!(two.recv().await, Frame::new(Op::Response, "r1", "null"));
    assert_eq!(one.recv().await, event);
    rig.metric(r#"huly_agent_requests_total{kind="probe",outcome="ok",route="direct"} 2"#)
        .await;
    // The agent's own ROUTER and the server lead to it as well.
    let mut agent = rig.dealer("c3").await;
    assert_eq!(
        agent.ask("r1", "cs", json!(["u", "echo", 3])).await,
        Ok(json!(3))
    );
    assert_eq!(rig.request("u", "echo", json!(4)).await, Ok(json!(4)));
    rig.metric("huly_agent_connected_clients 3").await;
}

#[tokio::test]
async fn its_router_ends_with_it() {
    let (mut rig, port) = listening().await;
    let mut before = client(port, "c1").await;
    let mut monitor = before.socket.monitor();
    let error = before.ask("r1", "panic", json!(1)).await.unwrap_err();
    assert!(error.message.contains("as told"), "{error}");
    assert_eq!(rig.told_removed().await, ["u"]);
    let closed = async {
        loop {
            tokio::select! {
                // It is noticed by reading.
                _ = before.socket.recv() => {}
                Some(SocketEvent::Disconnected(_)) = monitor.next() => return,
            }
        }
    };
    patient(closed).await;
    let refused = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patient(refused).await;
    let next = port_of(&rig).await;
    let mut after = client(next, "c1").await;
    assert_eq!(after.ask("r1", "echo", json!(1)).await, Ok(json!(1)));
}

#[tokio::test]
async fn hostile_bytes_on_it_disturb_nobody() {
    let (rig, port) = listening().await;
    let mut good = client(port, "good").await;
    let mut bad = client(port, "bad").await;
    for parts in [
        &["77", "id"][..],
        &["1"],
        &["2", "never-asked", "1"],
        &["0", "bad", "x"],
    ] {
        let parts = parts.iter().map(|part| Bytes::from_static(part.as_bytes()));
        bad.send_raw(parts.collect()).await;
    }
    let error = bad.say(Op::Request, "r1", "{").await;
    assert_eq!(error.op, Op::ResponseError);
    assert_eq!(bad.ask("r2", "echo", json!(1)).await, Ok(json!(1)));
    assert_eq!(good.ask("r1", "echo", json!(1)).await, Ok(json!(1)));
    rig.metric(r#"huly_agent_bad_messages_total{reason="bad_request"} 1"#)
        .await;
}

//! Containers that listen themselves.

use super::*;

fn listening() -> Kinds {
    Kinds::new().serve_direct("counter", |context| async {
        Ok(Counter {
            context,
            value: Mutex::default(),
        })
    })
}

#[tokio::test]
async fn each_is_asked_and_heard_where_it_listens_also_in_its_next_life() {
    let network = Network::new();
    let first = network.agent("a1", listening()).await.unwrap();
    let client = network.client("c1");
    let one = client.get("counter").uuid("one").await.unwrap();
    let two = client.get("counter").uuid("two").await.unwrap();
    assert_ne!(one.endpoint(), two.endpoint());
    let connection = one.connect().await.unwrap();
    let mut events = connection.events();
    assert!(connection.is_direct());
    let own: u64 = connection.request("increment", &()).await.unwrap();
    let routed: u64 = one.request("increment", &()).await.unwrap();
    let other: u64 = two.request("increment", &()).await.unwrap();
    assert_eq!((own, routed, other), (1, 2, 1));
    assert_eq!(events.next().await.unwrap().text(), "1");
    assert_eq!(events.next().await.unwrap().text(), "2");

    let _second = network.agent("a2", listening()).await.unwrap();
    first.kill();
    let anew: u64 = connection.request("increment", &()).await.unwrap();
    assert_eq!(anew, 1);
    network.advance(SECOND).await;
    assert!(connection.is_direct());
    let on: String = connection.request("agent", &()).await.unwrap();
    assert_eq!(on, "a2");
    let _: u64 = connection.request("increment", &()).await.unwrap();
    let heard = async {
        loop {
            if events.next().await.unwrap().text() == "2" {
                return;
            }
        }
    };
    heard.await;
}

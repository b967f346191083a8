//! How a client gets its connection, and what it calls its requests.

use std::time::Duration;

use huly_client::Client;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::fake::{FIRST, FakeServer};

/// A port that takes connections, as that of a machine whose process is frozen, and on which
/// nothing is said.
#[tokio::test]
async fn who_says_nothing_is_dialed_again_within_a_second() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let _client = Client::builder(address).build();
    let patience = Duration::from_secs(10);
    let accept = || timeout(patience, listener.accept());
    let _first = accept().await.expect("it dials").expect("a connection");
    let began = Instant::now();
    let _second = accept().await.expect("again").expect("a connection");
    let _third = accept().await.expect("and again").expect("a connection");
    let took = began.elapsed();
    // Half a second for the handshake, and at most a quarter in between.
    assert!(took >= Duration::from_millis(750), "{took:?}");
}

#[tokio::test]
async fn two_processes_of_one_client_id_never_use_the_same_request_id() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut server = FakeServer::start().await;
        let client = server.client().build();
        let asking = tokio::spawn(async move { client.kinds().await });
        server.welcome(&FIRST).await;
        let asked = server.request("ak").await;
        ids.push(asked.frame.id.clone());
        server.answer(&asked, serde_json::json!([])).await;
        asking.await.expect("no panic").expect("kinds");
    }
    assert!(ids.iter().all(|id| id.starts_with("client-1-")), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

//! Exclusive kinds.

use super::*;

async fn network() -> Network {
    let network = Network::new();
    let spec = KindSpec {
        revision: 1,
        exclusive: true,
        ..KindSpec::defaults("counter")
    };
    network.set_kind(spec).await.unwrap();
    network
}

#[tokio::test]
async fn a_killed_agents_container_is_placed_again_when_its_lease_is_over() {
    let network = network().await;
    let first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    // A whole second: the agent has just pinged.
    network.advance(SECOND - network.now()).await;
    first.kill();
    let agent: String = counter.request("agent", &()).await.unwrap();
    assert_eq!(agent, "a2");
    let took = network.now() - SECOND;
    assert!((1_000 * MS..=1_250 * MS).contains(&took), "{took:?}");
}

#[tokio::test]
async fn an_agent_that_leaves_costs_no_time() {
    let network = network().await;
    let first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    let before = network.now();
    first.leave().await.unwrap();
    let agent: String = counter.request("agent", &()).await.unwrap();
    assert_eq!((agent.as_str(), network.now()), ("a2", before));
}

#[tokio::test]
async fn a_server_that_is_there_again_at_once_stops_nothing() {
    let network = network().await;
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _: u64 = counter.request("increment", &()).await.unwrap();
    let before = network.now();
    network.restart_server();
    let value: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!(value, 2, "the same life");
    // As long as agent and client take to dial again.
    let took = network.now() - before;
    assert!(took < 500 * MS, "{took:?}");
}

#[tokio::test]
async fn after_a_server_that_was_away_for_longer_than_the_lease_it_waits_and_goes_on() {
    let network = network().await;
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    let _: u64 = connection.request("increment", &()).await.unwrap();
    network.stop_server();
    network.advance(900 * MS).await;
    let value: u64 = connection.request("increment", &()).await.unwrap();
    assert_eq!(value, 2, "the lease lasts still");
    network.advance(200 * MS).await;
    let waits = tokio::spawn(async move {
        let value = connection.request::<_, u64>("increment", &()).await;
        (connection, value)
    });
    network.advance(10 * SECOND).await;
    assert!(!waits.is_finished());
    let before = network.now();
    network.start_server();
    let (_connection, value) = waits.await.unwrap();
    assert_eq!(value.unwrap(), 3, "once, in the same life");
    assert_eq!(network.now() - before, 3_750 * MS);
}

#[tokio::test]
async fn a_cut_off_agents_container_accepts_nothing_more_before_another_does() {
    let network = network().await;
    let _first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    // What the agent and the server say to each other is held; its clients reach it on.
    network.cut("server");
    network.advance(1_100 * MS).await;
    let late = connection
        .request::<_, String>("agent", &())
        .deadline(SECOND);
    assert_eq!(late.await.unwrap_err().kind, ErrorKind::TimedOut);
    network.heal("server");
    let agent: String = connection.request("agent", &()).await.unwrap();
    assert_eq!(agent, "a1", "nobody else was asked");
}

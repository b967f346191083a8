//! Wires that are cut, and servers that restart.

use super::*;

#[tokio::test]
async fn a_restarted_server_keeps_what_lives() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _: u64 = counter.request("increment", &()).await.unwrap();
    network.stop_server();
    network.advance(10 * SECOND).await;
    network.start_server();
    let value: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!(value, 2, "the same container");
    // And its reference.
    network.advance(120 * SECOND).await;
    let value: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!(value, 3);
}

#[tokio::test]
async fn a_cut_client_gets_its_answer_once_it_is_healed() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let asking = tokio::spawn({
        let counter = counter.clone();
        async move { counter.request::<_, ()>("sleep", &500).await }
    });
    network.settle().await;
    network.cut("c1");
    // The client gives its connection up, the server not yet the client.
    network.advance(2 * SECOND).await;
    assert!(!asking.is_finished());
    network.heal("c1");
    asking.await.unwrap().unwrap();
    assert!(network.now() < 3 * SECOND, "{:?}", network.now());
}

/// A cut-off agent is given up when it was silent for the alive timeout; its own container goes on
/// until it hears of the other.
#[tokio::test]
async fn a_cut_agent_is_given_up_after_the_alive_timeout() {
    let network = Network::new();
    let _first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    network.cut("a1");
    // From the last ping that was heard.
    network.advance(3 * SECOND - MS).await;
    assert_eq!(counter.placement().unwrap().agent_id, "a1");
    network.advance(MS).await;
    assert_eq!(counter.placement().unwrap().agent_id, "a2");
    let agent: String = counter.request("agent", &()).await.unwrap();
    assert_eq!(agent, "a2");
    network.heal("a1");
    network.advance(SECOND).await;
    let agents = client.agents().await.unwrap();
    let hosted: Vec<_> = agents
        .iter()
        .map(|agent| (agent.agent_id.as_str(), agent.containers))
        .collect();
    assert_eq!(hosted, [("a1", 0), ("a2", 1)]);
}

//! What happens when.

use super::*;

#[tokio::test]
async fn a_container_ends_exactly_when_its_idle_time_is_over() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    network.advance(3 * SECOND).await;
    counter.release().await.unwrap();
    network.advance(5 * SECOND - MS).await;
    assert_eq!(uuids(&client).await, ["visits"]);
    network.advance(MS).await;
    assert!(uuids(&client).await.is_empty());
    // As its kind says, also to a server that is started later.
    let spec = KindSpec {
        revision: 1,
        idle_timeout_ms: Some(100),
        ..KindSpec::defaults("counter")
    };
    network.set_kind(spec).await.unwrap();
    network.restart_server();
    let counter = client.get("counter").uuid("visits").await.unwrap();
    counter.release().await.unwrap();
    network.advance(99 * MS).await;
    assert_eq!(uuids(&client).await, ["visits"]);
    network.advance(MS).await;
    assert!(uuids(&client).await.is_empty());
}

#[tokio::test]
async fn a_network_may_have_another_grace() {
    let network = Network::builder().grace(2 * SECOND).build();
    let first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    first.kill();
    let agent: String = counter.request("agent", &()).await.unwrap();
    assert_eq!((agent.as_str(), network.now()), ("a2", 2 * SECOND));
}

#[tokio::test]
async fn a_killed_agents_container_is_placed_again_at_the_end_of_the_grace() {
    let network = Network::new();
    let first = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _second = network.agent("a2", kinds()).await.unwrap();
    let before: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!(before, 1);
    let killed = network.now();
    first.kill();
    network.advance(749 * MS).await;
    assert_eq!(counter.placement().unwrap().agent_id, "a1");
    // It waits for the next life.
    let agent: String = counter.request("agent", &()).await.unwrap();
    assert_eq!((agent.as_str(), network.now() - killed), ("a2", 750 * MS));
    assert_eq!(counter.placement().unwrap().agent_id, "a2");
    // An agent of the same id may be started.
    network.agent("a1", kinds()).await.unwrap();
}

/// All processes are paused for longer than a lease: nothing is dispatched until the agent is
/// registered again, and then it is.
#[tokio::test]
async fn a_pause_of_everybody_ends_the_lease_and_no_container() {
    let network = Network::builder().traced().build();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let _: u64 = counter.request("increment", &()).await.unwrap();
    let registrations = |network: &Network| {
        let trace = network.trace();
        let of_agent = trace
            .iter()
            .filter(|line| line.contains("a1 → server: Request"));
        of_agent.filter(|line| line.contains(r#"["ar","#)).count()
    };
    assert_eq!(registrations(&network), 1);
    tokio::time::advance(2 * SECOND).await;
    let value: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!(value, 2);
    assert_eq!(registrations(&network), 2, "the lease was overslept");
}

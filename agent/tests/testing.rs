//! Agents in the network of the feature `testing`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use huly_agent::testing::huly_client::protocol::KindSpec;
use huly_agent::testing::huly_client::{Client, ErrorKind};
use huly_agent::testing::{Agents, Network};
use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, Kinds, answer};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Counts, says so, and takes its time where it is told to.
struct Counter {
    context: ContainerContext,
    value: Mutex<u64>,
}

impl Container for Counter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "increment" => {
                let value = {
                    let mut value = self.value.lock().unwrap();
                    *value += 1;
                    *value
                };
                self.context.broadcast.send(&value)?;
                answer(&value)
            }
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(call.read()?)).await;
                answer(&())
            }
            "agent" => answer(&self.context.agent),
            _ => Err(call.unknown(&["increment", "sleep", "agent"])),
        }
    }
}

fn kinds() -> Kinds {
    Kinds::new().serve("counter", |context| async {
        Ok(Counter {
            context,
            value: Mutex::default(),
        })
    })
}

async fn uuids(client: &Client) -> Vec<String> {
    let all = client.containers(None).await.unwrap();
    all.into_iter().map(|record| record.uuid).collect()
}

#[tokio::test]
async fn a_container_answers_and_tells_in_no_time() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    let mut events = connection.events();
    assert!(connection.is_direct());
    let direct: u64 = connection.request("increment", &()).await.unwrap();
    let routed: u64 = counter.request("increment", &()).await.unwrap();
    assert_eq!((direct, routed), (1, 2));
    for expected in ["1", "2"] {
        assert_eq!(events.next().await.unwrap().text(), expected);
    }
    assert_eq!(network.now(), Duration::ZERO);
    let () = counter.request("sleep", &250).await.unwrap();
    assert_eq!(network.now(), 250 * MS);
}

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

#[tokio::test]
async fn an_id_is_one_agents() {
    let network = Network::new();
    let first = network.agent("a1", kinds()).await.unwrap();
    let error = network.agent("a1", kinds()).await.unwrap_err();
    assert!(error.to_string().contains("a1"), "{error}");
    let client = network.client("c1");
    client.get("counter").uuid("visits").await.unwrap();
    first.leave().await.unwrap();
    assert!(client.agents().await.unwrap().is_empty());
    network.agent("a1", kinds()).await.unwrap();
}

#[tokio::test]
async fn labels_are_what_a_kind_selects_agents_by() {
    let network = Network::new();
    let spec = serde_json::from_value(json!({
        "kind": "counter", "revision": 1, "agentSelector": { "matchLabels": { "zone": "b" } },
    }));
    network.set_kind(spec.unwrap()).await.unwrap();
    let _a = network
        .agent("a", kinds())
        .label("zone", "a")
        .await
        .unwrap();
    let _b = network
        .agent("b", kinds())
        .label("zone", "b")
        .await
        .unwrap();
    let client = network.client("c1");
    for _ in 0..2 {
        let counter = client.get("counter").new_container().await.unwrap();
        assert_eq!(counter.placement().unwrap().agent_id, "b");
    }
}

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

#[tokio::test]
async fn the_feed_tells_what_happens() {
    let network = Network::new();
    let client = network.client("c1");
    let mut updates = client.updates();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let mut told = String::new();
    while !told.contains("a1") {
        told = format!("{:?}", updates.next().await.unwrap());
    }
    assert_eq!(network.now(), Duration::ZERO);
}

#[tokio::test]
async fn an_operation_that_is_not_there_says_so() {
    let network = Network::new();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let counter = network.client("c1").get("counter").await.unwrap();
    let error = counter.request::<_, Value>("nope", &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadRequest);
}

/// Three agents and two clients through a kill, a restart of the server and a cut.
async fn story(seed: u64) -> Vec<String> {
    let network = Network::builder().seed(seed).traced().build();
    let mut agents = Vec::new();
    for id in ["a1", "a2", "a3"] {
        agents.push(network.agent(id, kinds()).await.unwrap());
    }
    let clients = [network.client("c1"), network.client("c2")];
    let mut counters = Vec::new();
    for (number, client) in clients.iter().cycle().take(12).enumerate() {
        let uuid = format!("u{}", number % 9);
        counters.push(client.get("counter").uuid(uuid).await.unwrap());
    }
    let mut connections = Vec::new();
    for counter in &counters {
        connections.push(counter.connect().await.unwrap());
    }
    // What is held arrives at one moment over both ways.
    network.cut("a1");
    let asked = counters
        .iter()
        .zip(&connections)
        .map(|(counter, connection)| async {
            let data = &5;
            tokio::join!(
                counter.request::<_, ()>("sleep", data),
                connection.request::<_, ()>("sleep", data),
                counter.request::<_, u64>("increment", data),
                connection.request::<_, u64>("increment", data),
            )
        });
    let healing = async {
        network.advance(300 * MS).await;
        network.heal("a1");
    };
    futures::future::join(futures::future::join_all(asked), healing).await;
    for turn in 0..4 {
        match turn {
            0 => agents.remove(1).kill(),
            1 => network.restart_server(),
            2 => network.cut("a3"),
            _ => network.heal("a3"),
        }
        // At the same moment over the server and past it.
        let asked = counters
            .iter()
            .zip(&connections)
            .map(|(counter, connection)| async {
                let slept = tokio::join!(
                    counter.request::<_, ()>("sleep", &10),
                    connection.request::<_, ()>("sleep", &10)
                );
                let counted = tokio::join!(
                    counter.request::<_, u64>("increment", &()),
                    connection.request::<_, u64>("increment", &())
                );
                (slept.0.is_ok(), counted.1.ok())
            });
        futures::future::join_all(asked).await;
        network.advance(500 * MS).await;
    }
    drop(connections);
    drop(counters);
    network.advance(10 * SECOND).await;
    network.trace()
}

#[test]
fn two_runs_of_one_story_are_the_same() {
    let run = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(story(seed))
    };
    let first = run(7);
    assert!(first.len() > 500, "{}", first.len());
    for _ in 0..5 {
        let again = run(7);
        let differs = first.iter().zip(&again).find(|(one, other)| one != other);
        assert_eq!(differs, None);
        assert_eq!(first.len(), again.len());
    }
}

//! An application and its agent in one process, with a network server.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use huly_agent::{
    AgentHandle, AgentOptions, AgentUpdate, Call, Client, Container, ContainerError, EndReason,
    ErrorKind, Json, Kinds, answer,
};
use huly_registry::Config;
use serde_json::{Value, json};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

async fn patient<T>(what: impl IntoFuture<Output = T>) -> T {
    timeout(PATIENCE, what.into_future())
        .await
        .expect("it did not come in time")
}

/// Adds up.
#[derive(Default)]
struct Counter {
    count: AtomicU32,
}

impl Container for Counter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "add" => {
                let by: u32 = call.read()?;
                let before = self.count.fetch_add(by, Ordering::Relaxed);
                answer(&(before + by))
            }
            // As one does that computes, or calls what blocks.
            "block" => {
                std::thread::sleep(Duration::from_millis(call.read()?));
                answer(&self.count.load(Ordering::Relaxed))
            }
            "hang" => std::future::pending().await,
            _ => Err(call.unknown(&["add", "block", "hang"])),
        }
    }
}

fn kinds() -> Kinds {
    Kinds::new().serve("counter", |_| async { Ok(Counter::default()) })
}

/// A network server of this process; its `host:port`.
fn network() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut config = Config::new("instance", 1_000);
    // Nobody was there before.
    config.settle = Duration::ZERO;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(huly_network::serve_network(listener, config))
    });
    address
}

fn options(network: &str, id: &str) -> AgentOptions {
    let mut options = AgentOptions::local(network).unwrap();
    options.id = Some(id.to_owned());
    options.workers = Some(1);
    options
}

/// The ids of the agents, once they are so many.
async fn agents(client: &Client, count: usize) -> Vec<String> {
    let all = async {
        loop {
            let agents = client.agents().await.unwrap();
            if agents.len() == count {
                break agents.into_iter().map(|agent| agent.agent_id).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patient(all).await
}

async fn update(
    updates: &mut (impl Stream<Item = AgentUpdate> + Unpin),
) -> (String, Option<EndReason>) {
    match patient(updates.next()).await.expect("an agent that lives") {
        AgentUpdate::Started { uuid, .. } => (uuid.to_string(), None),
        AgentUpdate::Ended(ended) => (ended.uuid.to_string(), Some(ended.reason)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_and_its_agent_share_a_session() {
    let network = network();
    let client = Client::builder(&network).build();
    let agent = AgentHandle::serve(&client, options(&network, "mine"), kinds()).unwrap();
    assert_eq!(agents(&client, 1).await, ["mine"]);
    let counter = patient(client.get("counter").uuid("u")).await.unwrap();
    let count: u32 = patient(counter.request("add", &2)).await.unwrap();
    assert_eq!(count, 2);
    patient(agent.leave()).await.unwrap();
    // The client stays, with its reference.
    assert!(agents(&client, 0).await.is_empty());
    let _other = AgentHandle::start(options(&network, "other"), kinds()).unwrap();
    assert_eq!(agents(&client, 1).await, ["other"]);
    let count: u32 = patient(counter.request("add", &3)).await.unwrap();
    assert_eq!(count, 3, "a new life");
}

#[tokio::test]
async fn what_an_application_asks_its_own_agent_has_a_deadline() {
    let network = network();
    let client = Client::builder(&network)
        .request_timeout(Duration::from_millis(300))
        .build();
    let agent = AgentHandle::serve(&client, options(&network, "mine"), kinds()).unwrap();
    agents(&client, 1).await;
    let _held = patient(client.get("counter").uuid("u")).await.unwrap();
    let hung = patient(agent.request::<_, Value>("u", "hang", &())).await;
    assert_eq!(hung.unwrap_err().kind, ErrorKind::OutcomeUnknown);
    let count: u32 = patient(agent.request("u", "add", &1)).await.unwrap();
    assert_eq!(count, 1);
}

/// Its session lives on with the client, so nothing but its own word tells the server.
#[tokio::test]
async fn a_dropped_agent_of_a_shared_session_is_gone() {
    let network = network();
    let client = Client::builder(&network).build();
    let agent = AgentHandle::serve(&client, options(&network, "mine"), kinds()).unwrap();
    agents(&client, 1).await;
    let counter = patient(client.get("counter").uuid("u")).await.unwrap();
    let _other = AgentHandle::start(options(&network, "other"), kinds()).unwrap();
    agents(&client, 2).await;
    drop(agent);
    assert_eq!(agents(&client, 1).await, ["other"]);
    let count: u32 = patient(counter.request("add", &1)).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn an_application_asks_its_own_agent() {
    let network = network();
    let one = AgentHandle::start(options(&network, "one"), kinds()).unwrap();
    let two = AgentHandle::start(options(&network, "two"), kinds()).unwrap();
    agents(one.client(), 2).await;
    let mut updates = two.updates();
    let mut held = Vec::new();
    for uuid in ["a", "b"] {
        let counter = patient(two.get("counter").uuid(uuid)).await.unwrap();
        assert_eq!(counter.placement().unwrap().agent_id, "two");
        assert_eq!(update(&mut updates).await, (uuid.to_owned(), None));
        held.push(counter);
    }
    // One that lives elsewhere is got there.
    let there = patient(one.get("counter").uuid("a")).await.unwrap();
    assert_eq!(there.placement().unwrap().agent_id, "two");
    let listed = two.list(Some("counter")).await.unwrap();
    let uuids: Vec<&str> = listed.iter().map(|record| record.uuid.as_str()).collect();
    assert_eq!(uuids, ["a", "b"]);
    let epoch = listed[0].huly.as_ref().unwrap().epoch;
    assert!(epoch.is_some(), "the server gave it");
    assert!(two.list(Some("other")).await.unwrap().is_empty());
    assert!(one.list(None).await.unwrap().is_empty());
    assert_eq!(two.request::<_, u32>("a", "add", &5).await.unwrap(), 5);
    let elsewhere = one.request::<_, Value>("a", "add", &5).await;
    assert_eq!(elsewhere.unwrap_err().kind, ErrorKind::NoSuchContainer);
    let unknown = two.request::<_, Value>("a", "multiply", &5).await;
    assert!(unknown.unwrap_err().message.contains("multiply"));
    let misread = two.request::<_, String>("a", "add", &json!(1)).await;
    assert_eq!(misread.unwrap_err().kind, ErrorKind::Protocol);
    // It is held, so it is placed again, wherever.
    patient(two.terminate("a")).await.unwrap();
    let ended = ("a".to_owned(), Some(EndReason::TerminatedHere));
    assert_eq!(update(&mut updates).await, ended);
    let count: u32 = patient(held[0].request("add", &1)).await.unwrap();
    assert_eq!(count, 1);
    let nothing = two.terminate("nothing").await;
    assert_eq!(nothing.unwrap_err().kind, ErrorKind::NoSuchContainer);
    drop(two);
    while patient(updates.next()).await.is_some() {}
}

/// They run on other threads than the agent's connection and lease.
#[tokio::test]
async fn containers_that_block_every_worker_do_not_lose_their_agent() {
    let network = network();
    let client = Client::builder(&network).build();
    let _one = AgentHandle::start(options(&network, "one"), kinds()).unwrap();
    agents(&client, 1).await;
    let counter = patient(client.get("counter").uuid("u")).await.unwrap();
    let _: u32 = patient(counter.request("add", &1)).await.unwrap();
    let _other = AgentHandle::start(options(&network, "other"), kinds()).unwrap();
    agents(&client, 2).await;
    // Longer than the alive timeout, and than any lease.
    let blocked = patient(counter.request::<_, u32>("block", &4_000)).await;
    assert_eq!(blocked.unwrap(), 1);
    let count: u32 = patient(counter.request("add", &1)).await.unwrap();
    assert_eq!(count, 2);
    let placement = counter.placement().unwrap();
    assert_eq!(
        (placement.agent_id.as_str(), placement.failovers),
        ("one", 0)
    );
}

//! The network of the feature `testing`: its clock, wires and server.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use huly_client::protocol::AgentRegistration;
use huly_client::testing::Network;
use huly_client::{Client, ErrorKind, Json, LinkEvent};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn time_stands_still_while_something_is_done_and_passes_when_everybody_waits() {
    let network = Network::new();
    let client = network.client("c1");
    assert!(client.kinds().await.unwrap().is_empty());
    assert_eq!(network.now(), Duration::ZERO);
    network.stop_server();
    let error = client.kinds().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert_eq!(network.now(), 30 * SECOND);
    network.advance(17 * MS).await;
    assert_eq!(network.now(), 30 * SECOND + 17 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_stopped_already_will_do() {
    let network = Network::new();
    tokio::time::sleep(3 * MS).await;
    assert_eq!(network.now(), 3 * MS);
}

#[tokio::test]
async fn settled_everything_has_happened_that_takes_no_time() {
    let network = Network::new();
    let working = tokio::spawn(async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    });
    let waiting = tokio::spawn(tokio::time::sleep(MS));
    network.settle().await;
    assert!(working.is_finished());
    assert!(!waiting.is_finished());
    assert_eq!(network.now(), Duration::ZERO);
    // What is due at the very end of a time has happened, and all that follows from it.
    let (say, said) = tokio::sync::oneshot::channel();
    tokio::spawn(async {
        tokio::time::sleep(SECOND).await;
        say.send(()).unwrap();
    });
    let heard = tokio::spawn(said);
    network.advance(SECOND).await;
    assert!(heard.is_finished());
    assert_eq!(network.now(), SECOND);
}

#[tokio::test]
async fn a_server_that_is_started_again_is_found() {
    let network = Network::new();
    let client = network.client("c1");
    client.ready().await;
    let mut session = client.session();
    let term = session.borrow_and_update().server.clone().unwrap().term;
    // In the same millisecond: its term is a later one all the same.
    network.restart_server();
    let session = session.wait_for(|state| state.generation == 2).await;
    assert!(session.unwrap().server.clone().unwrap().term > term);
    assert!(network.now() < SECOND);
    assert!(client.kinds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cut_client_gets_its_answers_once_it_is_healed() {
    let network = Network::new();
    let client = network.client("c1");
    client.ready().await;
    network.cut("c1");
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.kinds().await }
    });
    // Too short for anybody to give the connection up.
    network.advance(500 * MS).await;
    assert!(client.session().borrow().up && !asking.is_finished());
    network.heal("c1");
    network.settle().await;
    assert!(asking.is_finished());
    assert!(asking.await.unwrap().unwrap().is_empty());
    assert_eq!(client.session().borrow().generation, 1);
    // Long enough for the server to forget the client, and for the client to dial in vain.
    network.cut("c1");
    network.advance(10 * SECOND).await;
    assert!(!client.session().borrow().up);
    network.heal("c1");
    assert!(client.kinds().await.unwrap().is_empty());
    assert_eq!(client.session().borrow().generation, 2);
}

#[tokio::test]
async fn a_silent_server_is_left_after_a_second_and_dialed_again() {
    let network = Network::builder().traced().build();
    let client = network.client("c1");
    client.ready().await;
    let dialed = |network: &Network| {
        let trace = network.trace();
        let connects = |line: &&String| line.ends_with("c1 → server: connects");
        trace.iter().filter(connects).count()
    };
    network.cut("server");
    network.advance(SECOND - MS).await;
    assert!(client.session().borrow().up);
    network.advance(MS).await;
    assert!(!client.session().borrow().up);
    network.heal("server");
    client.ready().await;
    assert_eq!(dialed(&network), 2);
}

#[tokio::test]
async fn without_a_server_calls_time_out_and_after_the_end_they_fail() {
    let network = Network::new();
    network.stop_server();
    let client = network.client_builder("c1");
    let client = client.request_timeout(50 * MS).build();
    let error = client.kinds().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert_eq!(network.now(), 50 * MS);
    client.close().await;
    let error = client.kinds().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Closed);
}

/// An agent that is written against the client crate alone.
async fn serve_echo(client: Client) {
    let mut link = client.serve_agent();
    while let Some(event) = link.events.recv().await {
        let call = match event {
            LinkEvent::Register => {
                link.register(AgentRegistration {
                    uuid: "a1".to_owned(),
                    containers: Vec::new(),
                    kinds: vec!["echo".to_owned()],
                    endpoint: None,
                    huly: None,
                });
                continue;
            }
            LinkEvent::Call(call) => call,
            _ => continue,
        };
        let params: Value = call.params.read().unwrap();
        let answer = match call.method.as_str() {
            "gg" => {
                let endpoint = json!({"kind": 2, "host": "", "port": 0, "agentId": "a1"});
                json!([params[1]["uuid"], endpoint.to_string()])
            }
            "cs" => params[2].clone(),
            other => panic!("{other}"),
        };
        call.responder.answer(Ok(Json::of(&answer).unwrap()));
    }
}

#[tokio::test]
async fn an_agent_of_the_client_crate_serves() {
    let network = Network::new();
    tokio::spawn(serve_echo(network.client("a1")));
    network.settle().await;
    let client = network.client("c1");
    let echo = client.get("echo").uuid("e").await.unwrap();
    let answer: Value = echo.request("say", &json!({"x": 1})).await.unwrap();
    assert_eq!(answer, json!({"x": 1}));
    assert_eq!(network.now(), Duration::ZERO);
}

/// A few clients, a restart and a cut.
async fn story(seed: u64) -> Vec<String> {
    let network = Network::builder().seed(seed).traced().build();
    let clients: Vec<Client> = ["c1", "c2", "c3"]
        .into_iter()
        .map(|id| network.client(id))
        .collect();
    network.advance(SECOND).await;
    network.restart_server();
    network.cut("c2");
    network.advance(3 * SECOND).await;
    network.heal("c2");
    for client in &clients {
        client.kinds().await.unwrap();
    }
    clients[0].close().await;
    network.advance(SECOND).await;
    network.trace()
}

#[test]
fn two_runs_are_the_same_and_another_seed_is_another_run() {
    let run = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        // It begins at any moment of the runtime's time.
        runtime.block_on(story(seed))
    };
    let first = run(1);
    assert!(first.len() > 50, "{first:#?}");
    for _ in 0..5 {
        assert_eq!(run(1), first);
    }
    assert_ne!(run(2), first);
}

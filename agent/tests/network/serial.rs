//! Kinds whose containers are asked one thing at a time.

use std::sync::Arc;

use futures::future::join_all;
use huly_agent::testing::huly_client::{ContainerRef, RequestOptions};

use super::*;

/// What began and ended, in order, for all to see.
type Log = Arc<Mutex<Vec<String>>>;

/// Notes when it begins and ends with a request, and takes so many ms in between.
struct Worker {
    log: Log,
}

impl Container for Worker {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let name = call.operation.clone();
        self.log.lock().unwrap().push(format!("+{name}"));
        tokio::time::sleep(Duration::from_millis(call.read()?)).await;
        self.log.lock().unwrap().push(format!("-{name}"));
        answer(&name)
    }

    async fn connected(&self, _: &str) {
        self.log.lock().unwrap().push("connected".to_owned());
    }
}

fn workers(log: &Log) -> Kinds {
    let (routed, direct) = (log.clone(), log.clone());
    Kinds::new()
        .serve("worker", move |_| {
            let log = routed.clone();
            async { Ok(Worker { log }) }
        })
        .serve_direct("own", move |_| {
            let log = direct.clone();
            async { Ok(Worker { log }) }
        })
}

fn serial(kind: &str, revision: u64, serial: bool) -> KindSpec {
    KindSpec {
        revision,
        serial,
        ..KindSpec::defaults(kind)
    }
}

async fn three(worker: &ContainerRef) -> Vec<Value> {
    let asked = ["a", "b", "c"].map(|name| worker.request::<_, Value>(name, &100));
    let answers = join_all(asked.map(IntoFuture::into_future)).await;
    answers.into_iter().map(Result::unwrap).collect()
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

#[tokio::test]
async fn requests_of_a_serial_container_run_one_after_the_other() {
    let log = Log::default();
    let network = Network::new();
    let _agent = network.agent("a1", workers(&log)).await.unwrap();
    network.set_kind(serial("worker", 1, true)).await.unwrap();
    let client = network.client("c1");
    let worker = client.get("worker").uuid("w").await.unwrap();
    assert_eq!(three(&worker).await, ["a", "b", "c"]);
    assert_eq!(take(&log), ["+a", "-a", "+b", "-b", "+c", "-c"]);
    assert_eq!(network.now(), 300 * MS);
}

#[tokio::test]
async fn a_life_of_a_container_is_serial_or_not_from_its_start() {
    let log = Log::default();
    let network = Network::new();
    let _agent = network.agent("a1", workers(&log)).await.unwrap();
    let client = network.client("c1");
    let before = client.get("worker").uuid("before").await.unwrap();
    network.set_kind(serial("worker", 1, true)).await.unwrap();
    let after = client.get("worker").uuid("after").await.unwrap();
    network.set_kind(serial("worker", 2, false)).await.unwrap();
    three(&before).await;
    assert_eq!(take(&log), ["+a", "+b", "+c", "-a", "-b", "-c"]);
    three(&after).await;
    assert_eq!(take(&log), ["+a", "-a", "+b", "-b", "+c", "-c"]);
}

#[tokio::test]
async fn routed_and_direct_requests_wait_for_each_other() {
    let log = Log::default();
    let network = Network::new();
    let _agent = network.agent("a1", workers(&log)).await.unwrap();
    network.set_kind(serial("worker", 1, true)).await.unwrap();
    let worker = network.client("c1").get("worker").uuid("w").await.unwrap();
    let connection = worker.connect().await.unwrap();
    assert!(connection.is_direct());
    assert_eq!(take(&log), ["connected"]);
    let (routed, direct) = tokio::join!(
        worker.request::<_, Value>("routed", &50).into_future(),
        connection.request::<_, Value>("direct", &50).into_future(),
    );
    assert_eq!(routed.unwrap(), "routed");
    assert_eq!(direct.unwrap(), "direct");
    assert_eq!(network.now(), 100 * MS);
    for pair in take(&log).chunks(2) {
        assert_eq!(pair[0][1..], pair[1][1..], "{pair:?}");
    }
}

#[tokio::test]
async fn so_do_those_over_its_own_router() {
    let log = Log::default();
    let network = Network::new();
    let _agent = network.agent("a1", workers(&log)).await.unwrap();
    network.set_kind(serial("own", 1, true)).await.unwrap();
    let own = network.client("c1").get("own").uuid("w").await.unwrap();
    let connection = own.connect().await.unwrap();
    assert!(connection.is_direct());
    let (one, two) = tokio::join!(
        connection.request::<_, Value>("one", &50).into_future(),
        connection.request::<_, Value>("two", &50).into_future(),
    );
    assert_eq!((one.unwrap(), two.unwrap()), (json!("one"), json!("two")));
    let mut ran = take(&log);
    ran.retain(|note| note != "connected");
    assert_eq!(ran, ["+one", "-one", "+two", "-two"]);
}

#[tokio::test]
async fn a_request_whose_time_is_over_leaves_the_queue() {
    let log = Log::default();
    let network = Network::new();
    let _agent = network.agent("a1", workers(&log)).await.unwrap();
    network.set_kind(serial("worker", 1, true)).await.unwrap();
    let worker = network.client("c1").get("worker").uuid("w").await.unwrap();
    let (late, patient) = (500 * MS, 5 * SECOND);
    let (first, second, third) = tokio::join!(
        worker.request::<_, Value>("first", &1_000).into_future(),
        async {
            let asked = worker.request::<_, Value>("second", &0).deadline(late);
            (asked.await, network.now())
        },
        worker
            .request::<_, Value>("third", &0)
            .deadline(patient)
            .into_future(),
    );
    first.unwrap();
    third.unwrap();
    let (second, at) = second;
    let error = second.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
    // The agent says it, before its caller gives up.
    assert!(error.message.contains("did not run"), "{error}");
    assert!(at < late, "{at:?}");
    assert_eq!(take(&log), ["+first", "-first", "+third", "-third"]);
}

#[tokio::test]
async fn what_waits_when_its_agent_leaves_runs_in_the_next_life() {
    let log = Log::default();
    let network = Network::new();
    let agent = network.agent("a1", workers(&log)).await.unwrap();
    network.set_kind(serial("worker", 1, true)).await.unwrap();
    let worker = network.client("c1").get("worker").uuid("w").await.unwrap();
    let _next = network.agent("a2", workers(&log)).await.unwrap();
    let options = RequestOptions::default();
    let ask = |name: &'static str| worker.request_with(name, Json::of(&200).unwrap(), options);
    let (first, second, ended) = tokio::join!(ask("first"), ask("second"), async {
        tokio::time::sleep(50 * MS).await;
        agent.leave().await
    });
    ended.unwrap();
    assert_eq!(first.unwrap().text(), r#""first""#);
    assert_eq!(second.unwrap().text(), r#""second""#);
    assert_eq!(take(&log), ["+first", "-first", "+second", "-second"]);
}

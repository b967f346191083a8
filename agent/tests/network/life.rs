//! Containers' lives, as clients see them.

use huly_agent::Kinds;

use super::*;

/// Does not end when it is told to, and asks for time.
struct Stubborn;

impl Container for Stubborn {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        Ok(call.data)
    }

    async fn stop(&self) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn who_asks_for_one_that_does_not_stop_gets_the_next_when_its_grace_is_over() {
    let network = Network::new();
    let kinds = Kinds::new().serve("stubborn", |_| async { Ok(Stubborn) });
    let _agent = network.agent("a1", kinds).await.unwrap();
    let spec = KindSpec {
        revision: 1,
        idle_timeout_ms: Some(0),
        termination_grace_ms: Some(300),
        ..KindSpec::defaults("stubborn")
    };
    network.set_kind(spec).await.unwrap();
    let client = network.client("c1");
    let first = client.get("stubborn").uuid("u").await.unwrap();
    let before = first.placement().unwrap().epoch;
    first.release().await.unwrap();
    network.advance(100 * MS).await;
    let second = client.get("stubborn").uuid("u").await.unwrap();
    assert!(second.placement().unwrap().epoch > before);
    // An agent looks at its deadlines every eighth of a lease.
    assert_eq!(network.now(), 375 * MS);
}

/// An agent that is awake goes on without its lease: nobody has its containers yet.
#[tokio::test]
async fn without_a_server_direct_requests_go_on() {
    let network = Network::builder().traced().build();
    let _agent = network.agent("a1", kinds()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    network.stop_server();
    for expected in 1..=20 {
        network.advance(500 * MS).await;
        let value: u64 = connection.request("increment", &()).await.unwrap();
        assert_eq!(value, expected);
    }
    assert_eq!(network.now(), 10 * SECOND, "none of them waited");
}

#[tokio::test]
async fn a_start_that_takes_too_long_fails() {
    let network = Network::new();
    let kinds = Kinds::new().serve("slow", |_| async {
        tokio::time::sleep(3600 * SECOND).await;
        Ok(Stubborn)
    });
    let _agent = network.agent("a1", kinds).await.unwrap();
    let spec = KindSpec {
        revision: 1,
        start_timeout_ms: Some(2_000),
        ..KindSpec::defaults("slow")
    };
    network.set_kind(spec).await.unwrap();
    let client = network.client("c1");
    let get = client.get("slow").uuid("u").deadline(10 * SECOND);
    let error = get.await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error}");
    assert_eq!(network.now(), 2 * SECOND);
}

#[tokio::test]
async fn a_container_with_a_router_of_its_own_is_followed_to_the_next() {
    let direct = || {
        Kinds::new().serve_direct("counter", |context| async {
            Ok(Counter {
                context,
                value: Mutex::default(),
            })
        })
    };
    let network = Network::builder().traced().build();
    let first = network.agent("a1", direct()).await.unwrap();
    let client = network.client("c1");
    let counter = client.get("counter").uuid("visits").await.unwrap();
    let connection = counter.connect().await.unwrap();
    let mut events = connection.events();
    let value: u64 = connection.request("increment", &()).await.unwrap();
    assert_eq!((value, events.next().await.unwrap().text()), (1, "1"));
    let way = r#"c1 → a1: Request"#;
    let asked = |line: &&String| line.contains(way) && line.contains("increment");
    assert_eq!(network.trace().iter().filter(asked).count(), 1);
    let _second = network.agent("a2", direct()).await.unwrap();
    first.kill();
    network.advance(SECOND).await;
    assert!(connection.is_direct());
    let value: u64 = connection.request("increment", &()).await.unwrap();
    assert_eq!((value, events.next().await.unwrap().text()), (1, "1"));
}

#[tokio::test]
async fn a_standby_takes_over_when_the_leaders_agent_is_killed() {
    let kinds = || {
        Kinds::new().stateless("counter", "leader", |context| async {
            Ok(Counter {
                context,
                value: Mutex::default(),
            })
        })
    };
    let network = Network::new();
    let mut agents = Vec::new();
    for id in ["a1", "a2", "a3"] {
        agents.push(network.agent(id, kinds()).await.unwrap());
    }
    let client = network.client("c1");
    let leader = client.get("counter").uuid("leader").await.unwrap();
    let mut led = Vec::new();
    while !agents.is_empty() {
        let agent: String = leader.request("agent", &()).await.unwrap();
        let at = agents.iter().position(|one| one.id() == agent).unwrap();
        agents.remove(at).kill();
        led.push(agent);
    }
    led.sort();
    assert_eq!(led, ["a1", "a2", "a3"]);
    assert!(network.now() < 5 * SECOND, "{:?}", network.now());
}

//! Containers that ask containers: a serial one that would wait for itself is told so.

use huly_agent::testing::huly_client::{CallChain, Error};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::*;

/// How a container asks the next one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Way {
    Routed,
    Direct,
    /// In a task of the container's.
    Spawned,
    /// In a task of tokio's, which knows nothing of the container.
    Lost,
    /// In a task of tokio's that takes the chain along.
    Taken,
    /// After its own answer.
    Later,
}

/// Which containers are to be asked, one by the other, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Path {
    to: Vec<(String, Way)>,
}

fn path(to: &[(&str, Way)]) -> Path {
    let to = to.iter().map(|(uuid, way)| ((*uuid).to_owned(), *way));
    Path { to: to.collect() }
}

/// Asks the next of a path.
struct Relay {
    context: ContainerContext,
    client: Client,
    /// Where it says what came of what it did after its answer.
    told: mpsc::UnboundedSender<String>,
}

impl Container for Relay {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let mut path: Path = call.read()?;
        if path.to.is_empty() {
            return answer("reached");
        }
        let (next, way) = path.to.remove(0);
        let client = self.client.clone();
        let asking = async move { told(ask(&client, next, way, path).await) };
        answer(&match way {
            Way::Routed | Way::Direct => asking.await,
            Way::Spawned => {
                let (done, waits) = oneshot::channel();
                self.context.spawn(async move {
                    let _ = done.send(asking.await);
                });
                waits.await?
            }
            Way::Lost => tokio::spawn(asking).await?,
            Way::Taken => tokio::spawn(CallChain::current().scope(asking)).await?,
            Way::Later => {
                let tell = self.told.clone();
                self.context.spawn(async move {
                    let _ = tell.send(asking.await);
                });
                "later".to_owned()
            }
        })
    }
}

async fn ask(client: &Client, next: String, way: Way, path: Path) -> Result<String, Error> {
    if way != Way::Direct {
        let asking = client.request(&next, "call", &path);
        return asking.deadline(2 * SECOND).await;
    }
    let held = client.get("relay").uuid(next).await?;
    let connection = held.connect().await?;
    assert!(connection.is_direct());
    connection.request("call", &path).await
}

fn told(result: Result<String, Error>) -> String {
    result.unwrap_or_else(|error| format!("{:?}: {}", error.kind, error.message))
}

/// Two agents with the containers a, b and c of one kind.
struct Rig {
    network: Network,
    client: Client,
    told: mpsc::UnboundedReceiver<String>,
    _alive: (
        Vec<huly_agent::testing::Agent>,
        Vec<huly_agent::testing::huly_client::ContainerRef>,
    ),
}

impl Rig {
    async fn new(serial: bool) -> Self {
        let network = Network::new();
        let (tell, told) = mpsc::unbounded_channel();
        let mut agents = Vec::new();
        for id in ["a1", "a2"] {
            let client = network.client(&format!("of-{id}"));
            let tell = tell.clone();
            let kinds = Kinds::new().serve("relay", move |context| {
                let (client, told) = (client.clone(), tell.clone());
                async {
                    Ok(Relay {
                        context,
                        client,
                        told,
                    })
                }
            });
            agents.push(network.agent(id, kinds).await.unwrap());
        }
        let spec = KindSpec {
            revision: 1,
            serial,
            ..KindSpec::defaults("relay")
        };
        network.set_kind(spec).await.unwrap();
        let client = network.client("c1");
        let mut held = Vec::new();
        for (uuid, agent) in [("a", "a1"), ("b", "a2"), ("c", "a1")] {
            let got = client
                .get("relay")
                .uuid(uuid)
                .on_agent(agent)
                .await
                .unwrap();
            assert_eq!(got.placement().unwrap().agent_id, agent);
            held.push(got);
        }
        Self {
            network,
            client,
            told,
            _alive: (agents, held),
        }
    }

    /// What comes of it when a is asked to go a path.
    async fn goes(&self, to: &[(&str, Way)]) -> String {
        let asked = self.client.request("a", "call", &path(to));
        asked.await.unwrap()
    }
}

const OWN: &str = "Reentrant: serial container a waits for this call itself:";

#[tokio::test]
async fn a_serial_container_that_would_wait_for_itself_is_told_so_at_once() {
    use Way::{Direct, Routed, Spawned, Taken};
    let rig = Rig::new(true).await;
    for first in [Routed, Direct, Spawned, Taken] {
        for second in [Routed, Direct, Spawned, Taken] {
            let said = rig.goes(&[("b", first), ("a", second)]).await;
            assert_eq!(said, format!("{OWN} a → b → a"), "{first:?}, {second:?}");
        }
    }
    let said = rig
        .goes(&[("b", Routed), ("c", Direct), ("a", Routed)])
        .await;
    assert_eq!(said, format!("{OWN} a → b → c → a"));
    let said = rig.goes(&[("a", Routed)]).await;
    assert_eq!(said, format!("{OWN} a → a"));
    // Nobody waited for anything.
    assert_eq!(rig.network.now(), Duration::ZERO);
    // Others are asked as ever, and it goes on.
    assert_eq!(rig.goes(&[("b", Routed), ("c", Direct)]).await, "reached");
}

#[tokio::test]
async fn one_that_is_not_serial_may_be_asked_by_whom_it_asks() {
    let rig = Rig::new(false).await;
    let said = rig.goes(&[("b", Way::Routed), ("a", Way::Direct)]).await;
    assert_eq!(said, "reached");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_may_ask_back() {
    let mut rig = Rig::new(true).await;
    let said = rig.goes(&[("b", Way::Later), ("a", Way::Routed)]).await;
    assert_eq!(said, "later");
    assert_eq!(rig.told.recv().await.unwrap(), "reached");
    assert_eq!(rig.network.now(), Duration::ZERO);
}

#[tokio::test]
async fn a_task_of_tokios_has_no_chain_and_waits_until_its_deadline() {
    let rig = Rig::new(true).await;
    let said = rig.goes(&[("b", Way::Lost), ("a", Way::Routed)]).await;
    assert!(said.starts_with("TimedOut"), "{said}");
    assert!(rig.network.now() < 2 * SECOND);
}

#[tokio::test]
async fn so_many_may_wait_for_one_call_and_no_more() {
    let rig = Rig::new(false).await;
    let to = |count: usize| vec![("a", Way::Routed); count];
    assert_eq!(rig.goes(&to(63)).await, "reached");
    let said = rig.goes(&to(64)).await;
    assert!(said.starts_with("Exhausted: 64 containers"), "{said}");
}

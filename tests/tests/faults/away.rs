//! The network server is away for minutes: what lives goes on, and what was asked meanwhile is right
//! afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::{Client, ContainerRef};
use huly_tests::{Layout, OriginalTalker, SOON, Scenario, eventually, scenario};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// How long it is away.
const AWAY: Duration = Duration::from_secs(120);

/// How long who asks meanwhile waits.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test]
async fn what_lives_goes_on_and_what_was_asked_meanwhile_is_right() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("away").await?;
        let mut claimed = Vec::new();
        for (name, value) in [("stays-a", 3), ("goes", 4), ("stays-b", 5)] {
            claimed.push(test.counter(&namespace, &kind, name, value).await?);
        }
        let client = test.live.client().clone();
        let held = client.get("counter").uuid("held").await?;
        let connection = held.connect().await?;
        ensure!(connection.is_direct(), "its agent is reached");
        let let_go = client.get("counter").uuid("let-go").await?;
        let original = OriginalTalker::start(&test.network.address).await?;
        let mortal = Mortal::holds(&test.network.address, "orphan").await?;

        test.network.server.kill().await?;
        let gone = Instant::now();
        mortal.dies();
        let claims = test.cluster.claims(&namespace);
        test.cluster.delete(&claims, "goes").await?;
        let spec = json!({"uuid": "comes"});
        let comes = test.cluster.claim(&namespace, "comes", &kind, spec).await?;
        // Nobody answers now, and it counts all the same.
        let letting_go = tokio::spawn(let_go.release());
        let getting = client.get("counter").uuid("got").deadline(PATIENCE);
        let getting = tokio::spawn(getting.into_future());
        let asked = held.clone();
        let asking = tokio::spawn(async move {
            let by = json!({"by": 1_000});
            let asking = asked.request("increment", &by).deadline(PATIENCE);
            asking.await as Result<Value, huly_client::Error>
        });

        let mut counted = 0;
        while gone.elapsed() < AWAY {
            counted += 1;
            let answer: Value = connection.request("increment", &json!({"by": 1})).await?;
            assert_eq!(answer, json!({"value": counted}), "past the server");
            for agent in &mut test.network.agents {
                ensure!(agent.is_running(), "an agent has ended");
            }
            // Time passing is what is tested.
            sleep(Duration::from_secs(1)).await;
        }
        ensure!(
            !getting.is_finished() && !asking.is_finished(),
            "there was nobody to answer"
        );
        test.network.server.start().await?;

        let answer = asking.await??;
        assert_eq!(answer, json!({"value": counted + 1_000}), "it ran once");
        let got = getting.await??;
        let answer: Value = got.request("increment", &json!({"by": 2})).await?;
        assert_eq!(answer, json!({"value": 2}), "it is new");
        comes.until_ready().await?;
        for counter in claimed.iter().filter(|counter| counter.name != "goes") {
            // It was not Available meanwhile, and has not moved.
            counter.stayed_bound()?;
            counter.lives_on(&test.live).await?;
        }
        for (uuid, expected) in [
            ("stays-a", 1),
            ("stays-b", 1),
            ("comes", 1),
            ("held", 1),
            ("got", 1),
            ("goes", 0),
            ("let-go", 0),
            ("orphan", 0),
        ] {
            until_held(test, uuid, expected).await?;
        }
        // Without an answer it fails, and is done all the same.
        drop(letting_go.await?);
        let metrics = test.network.server.metrics().await?;
        for none in ["failovers_total", "agents_lost_total"] {
            let count = metrics.sum(&format!("huly_network_{none}"), &[])?;
            assert_eq!(count, 0.0, "{none}");
        }

        let said = original.end().await.context("the TypeScript-like client")?;
        ensure!(said > 100, "it has said {said} things");
        let fates = test.end_load(AWAY + SOON).await?;
        fates.nothing_restarted()?;
        for direct in ["direct", "direct patiently"] {
            assert!(fates.silence[direct] < SOON, "{fates}");
        }
        Ok(())
    })
    .await
}

/// Waits until so many hold a container; nobody may be true of one that has ended, too.
async fn until_held(test: &Scenario, uuid: &str, expected: u32) -> Result<()> {
    eventually(SOON, &format!("{expected} hold {uuid}"), async || {
        if expected == 0 && test.live.container(uuid).await?.is_none() {
            return Ok(());
        }
        let references = test.live.references(uuid).await?;
        ensure!(references == expected, "{references} do");
        Ok(())
    })
    .await
}

/// A client that can die without a word.
struct Mortal {
    runtime: Runtime,
    _held: ContainerRef,
}

impl Mortal {
    async fn holds(address: &str, uuid: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (address, uuid) = (address.to_owned(), uuid.to_owned());
        let getting = runtime.spawn(async move {
            let client = Client::builder(address).build();
            client.get("counter").uuid(uuid).await
        });
        let held = getting.await?.context("a client that will die")?;
        Ok(Self {
            runtime,
            _held: held,
        })
    }

    fn dies(self) {
        self.runtime.shutdown_background();
    }
}

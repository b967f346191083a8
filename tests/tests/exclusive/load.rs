//! Clients that ask one container to write numbers, through the network server and directly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use huly_client::{Client, Error, ErrorKind};
use huly_tests::{Held, Logbook, SOON, Scenario, Way, eventually};
use serde_json::Value;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a client waits between two requests.
const PACE: Duration = Duration::from_millis(20);

/// How many clients there are of each way: so many requests may lie in a paused agent's sockets.
pub(crate) const CLIENTS: usize = 4;

/// How long the last answers may take: more than the network holds a request.
pub(crate) const LAST_ANSWER: Duration = Duration::from_secs(60);

/// What became of each number.
pub(crate) type Fates = BTreeMap<u64, Result<Value, ErrorKind>>;

/// A client that asks a container to write numbers.
pub(crate) struct Writer(Held);

impl Writer {
    pub(crate) async fn to(address: &str, kind: &str, uuid: &str, way: Way) -> Result<Self> {
        let client = Client::builder(address).build();
        Ok(Self(Held::get(&client, kind, uuid, way).await?))
    }

    pub(crate) async fn write(&self, number: u64) -> Result<Value, Error> {
        self.write_within(LAST_ANSWER, number).await
    }

    pub(crate) async fn write_within(&self, time: Duration, number: u64) -> Result<Value, Error> {
        self.0.request("write", &number).deadline(time).await
    }
}

/// Clients that ask one container to write numbers, each another one.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    /// Who has it to write sees no request under way.
    pub(crate) turn: Arc<RwLock<()>>,
    clients: JoinSet<Fates>,
}

impl Load {
    pub(crate) async fn start(test: &Scenario, kind: &str, uuid: &str) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (turn, numbers) = (Arc::new(RwLock::new(())), Arc::new(AtomicU64::new(1)));
        let mut clients = JoinSet::new();
        for way in [Way::Routed, Way::Direct].repeat(CLIENTS) {
            let writer = Writer::to(&test.network.address, kind, uuid, way).await?;
            let (turn, numbers) = (turn.clone(), numbers.clone());
            let stopped = stopped.clone();
            clients.spawn(async move {
                let mut fates = BTreeMap::new();
                while !*stopped.borrow() {
                    let begun = turn.read().await;
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = writer.write(number).await;
                    drop(begun);
                    fates.insert(number, answer.map_err(|error| error.kind));
                    sleep(PACE).await;
                }
                fates
            });
        }
        Ok(Self {
            stop,
            turn,
            clients,
        })
    }

    /// On the container `alone`, once it has answered for a while.
    pub(crate) async fn answered(test: &Scenario, logbook: &Logbook) -> Result<Self> {
        let load = Self::start(test, "logbook", "alone").await?;
        eventually(SOON, "each client was answered", async || {
            ensure!(logbook.executed("alone")?.len() > 4 * CLIENTS);
            Ok(())
        })
        .await?;
        Ok(load)
    }

    pub(crate) async fn stop(mut self) -> Result<Fates> {
        self.stop.send_replace(true);
        let mut all = BTreeMap::new();
        while let Some(fates) = timeout(LAST_ANSWER, self.clients.join_next()).await? {
            all.extend(fates?);
        }
        Ok(all)
    }
}

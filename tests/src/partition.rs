//! The story of clients that are cut off from the network server, but not from agents.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_client::{Client, Connection, ContainerRef, Error};
use huly_protocol::Epoch;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::counters::KIND;
use crate::cut::{Cable, Cut};
use crate::eventually::{SOON, eventually};
use crate::live::Live;
use crate::load::{Load, SILENCE};
use crate::report::{measured, reported};

/// How long a request past the network server may take: it has no reason to wait.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How long who asks meanwhile waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long what nobody holds may be there. A server that has started spares for a minute what a
/// client says to have held before.
const GONE: Duration = Duration::from_secs(90);

/// How often is counted.
const PACE: Duration = Duration::from_millis(100);

/// Clients beyond a cable, and what they hold: a counter that they alone hold, one that is claimed,
/// and one that is durable. A load is beyond it, too.
pub struct Partition<'a> {
    live: &'a Live,
    cut: Cut,
    load: Load,
    client: Client,
    alone: Counting,
    claimed: Counting,
    durable: Option<Counting>,
    /// The longest that the cable was not whole.
    longest: Duration,
}

/// A counter that is held, and counted up directly.
struct Counting {
    held: ContainerRef,
    connection: Connection,
    value: u64,
}

impl<'a> Partition<'a> {
    /// Puts a cable before the network server that listens at `server`, with clients beyond it.
    /// `claimed` is the uuid of a counter that is claimed; `live` is on the server's side.
    ///
    /// # Errors
    /// When what they hold cannot be had.
    pub async fn begin(server: &str, live: &'a Live, claimed: &str) -> Result<Self> {
        let cut = Cut::before(server).await?;
        let load = Load::start(cut.address()).await?;
        let client = Client::builder(cut.address()).build();
        Ok(Self {
            alone: Counting::up(client.clone(), &unique("alone"), false).await?,
            claimed: Counting::up(client.clone(), claimed, false).await?,
            durable: None,
            longest: Duration::ZERO,
            live,
            cut,
            load,
            client,
        })
    }

    /// Another client holds a durable reference, which needs the network's control secret.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn with_durable(&mut self, secret: &str) -> Result<()> {
        let client = Client::builder(self.cut.address()).control_secret(secret);
        let durable = Counting::up(client.build(), &unique("durable"), true).await?;
        self.durable = Some(durable);
        Ok(())
    }

    /// Has the cable in a state in which the server does not hear the clients, until it has given
    /// them up, and mends it. Expects direct connections to go on, only what nobody else holds to be
    /// ended, and all to be as before afterwards.
    ///
    /// # Errors
    /// When that is not so.
    pub async fn unheard(&mut self, what: &str, cable: Cable) -> Result<()> {
        let before = self.until_whole().await?;
        let began = Instant::now();
        self.cut.set(cable);
        let told = self.until_given_up().await;
        told.with_context(|| format!("while {what}"))?;
        self.longest = self.longest.max(began.elapsed());
        // What held it alone began anew.
        self.alone.value = 0;
        let after = self
            .mended()
            .await
            .with_context(|| format!("after {what}"))?;
        ensure!(after.alone > before.alone, "it is in no later life");
        ensure!(
            after.others == before.others,
            "one that others hold has moved"
        );
        Ok(())
    }

    async fn until_given_up(&mut self) -> Result<()> {
        let cut = Instant::now();
        // Nothing is awaited of the server: direct connections do not notice.
        let alone = self.alone.held.uuid().to_owned();
        loop {
            ensure!(cut.elapsed() < SOON, "the server has not given them up");
            self.claimed.count().await?;
            if let Some(durable) = &mut self.durable {
                durable.count().await?;
            }
            if self.live.references(self.claimed.held.uuid()).await? == 1 {
                break;
            }
            // Who is held has a container.
            self.alone.count().await?;
            sleep(PACE).await;
        }
        measured("clients cut off → released", cut.elapsed());
        self.live.until_gone(&alone, GONE).await?;
        self.claimed.count().await?;
        if let Some(durable) = &mut self.durable {
            durable.count().await?;
            let references = self.live.references(durable.held.uuid()).await?;
            ensure!(references == 1, "{references} durable references");
        }
        Ok(())
    }

    /// Mends the cable while somebody asks, and waits until all is as before.
    async fn mended(&mut self) -> Result<Lives> {
        let held = self.alone.held.clone();
        let asked = tokio::spawn(async move {
            let asking = held.request("increment", &json!({"by": 1}));
            asking.deadline(PATIENCE).await as Result<Value, Error>
        });
        let mended = Instant::now();
        self.cut.set(Cable::WHOLE);
        self.alone.counted(asked.await??)?;
        let lives = self.until_whole().await?;
        measured("clients connected again → all as before", mended.elapsed());
        Ok(lives)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Counting> {
        let two = [&mut self.alone, &mut self.claimed];
        two.into_iter().chain(&mut self.durable)
    }

    /// Waits until everything is held as it is when the cable is whole, and counts by both ways.
    async fn until_whole(&mut self) -> Result<Lives> {
        let live = self.live;
        let mut expected = vec![(&self.alone.held, 1), (&self.claimed.held, 2)];
        expected.extend(self.durable.iter().map(|durable| (&durable.held, 1)));
        eventually(SOON, "all is held again", async || {
            for (held, expected) in &expected {
                let references = live.references(held.uuid()).await?;
                ensure!(references == *expected, "{references} hold {}", held.uuid());
            }
            Ok(())
        })
        .await?;
        for counting in self.all() {
            counting.until_direct().await?;
            counting.count().await?;
            counting.count_routed().await?;
        }
        let mut lives = Lives {
            alone: live.epoch(self.alone.held.uuid()).await?,
            others: vec![live.epoch(self.claimed.held.uuid()).await?],
        };
        if let Some(durable) = &self.durable {
            lives.others.push(live.epoch(durable.held.uuid()).await?);
        }
        Ok(lives)
    }

    /// Lets go of everything, and looks at what became of the load: its rooms were silent while the
    /// cable was not whole, and no longer than what comes after takes.
    ///
    /// # Errors
    /// When anything of what [`Load`] promises is not so.
    pub async fn end(self) -> Result<()> {
        let stopped = self.load.stop(self.live, self.longest + SILENCE);
        let fates = stopped.await.context("the load")?;
        reported(&format!("load: {fates}"));
        let (alone, claimed) = (self.alone.held.uuid().to_owned(), self.claimed.held.clone());
        drop((self.alone, self.claimed));
        self.client.close().await;
        if let Some(durable) = self.durable {
            let uuid = durable.held.uuid().to_owned();
            drop(durable.connection);
            durable.held.release().await?;
            self.live.until_gone(&uuid, GONE).await?;
        }
        self.live.until_gone(&alone, GONE).await?;
        let references = self.live.references(claimed.uuid()).await?;
        ensure!(references == 1, "{references} hold the claimed one");
        Ok(())
    }
}

/// In which lives the counters are.
#[derive(Debug, PartialEq)]
struct Lives {
    alone: Epoch,
    others: Vec<Epoch>,
}

impl Counting {
    async fn up(client: Client, uuid: &str, durable: bool) -> Result<Self> {
        let get = client.get(KIND).uuid(uuid);
        let held = if durable { get.durable() } else { get }.await?;
        let connection = held.connect().await?;
        let mut counting = Self {
            value: value(connection.request("value", &json!(null)).await?)?,
            held,
            connection,
        };
        counting.until_direct().await?;
        Ok(counting)
    }

    async fn until_direct(&mut self) -> Result<()> {
        eventually(SOON, "its agent is reached", async || {
            ensure!(self.connection.is_direct(), "{} is not", self.held.uuid());
            Ok(())
        })
        .await
    }

    /// Counts directly, and is answered at once.
    async fn count(&mut self) -> Result<()> {
        let uuid = self.held.uuid();
        ensure!(self.connection.is_direct(), "{uuid} is not reached");
        let by = json!({"by": 1});
        let asking = self.connection.request("increment", &by);
        let answer = asking.deadline(AT_ONCE).await;
        self.counted(answer.with_context(|| format!("{uuid}, directly"))?)
    }

    async fn count_routed(&mut self) -> Result<()> {
        let asking = self.held.request("increment", &json!({"by": 1}));
        let answer = asking.deadline(SOON).await?;
        self.counted(answer)
    }

    fn counted(&mut self, answer: Value) -> Result<()> {
        self.value += 1;
        let now = value(answer)?;
        let (uuid, expected) = (self.held.uuid(), self.value);
        ensure!(now == expected, "{uuid} is at {now}, not {expected}");
        Ok(())
    }
}

fn value(answer: Value) -> Result<u64> {
    let value = answer["value"].as_u64();
    value.with_context(|| format!("a counter says {answer}"))
}

fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4())
}

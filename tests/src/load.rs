//! A steady load: clients that use a network while something happens to it.

mod fates;
mod journal;
mod original;
mod rooms;
mod visits;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_client::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

pub use self::fates::Fates;
pub use self::original::OriginalTalker;
use self::rooms::{Room, Way};
use self::visits::By;
use crate::eventually::eventually;
use crate::live::Live;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long after the story rooms may be silent.
const AGAIN: Duration = Duration::from_secs(30);

/// How long the last answers may take.
const LAST_ANSWER: Duration = Duration::from_secs(60);

/// How long what is released may be there. A server that has started spares for a minute what a
/// client says to have held before.
const LEFT: Duration = Duration::from_secs(90);

/// How many rooms are talked in by each way.
const ROOMS: usize = 4;

/// Clients that talk in rooms through the network server and past it, and clients that get, ask and
/// release short-lived containers by uuid and by labels, all at a steady rate: whatever became of
/// what they asked before.
///
/// What becomes of each call is known in the end, and must fit: no message that was answered is
/// lost, none ran twice, none ran that is said not to have run; each error is one that a healthy user
/// may get meanwhile, and none comes late; nothing is left in the network.
pub struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<Client>,
    tasks: JoinSet<Result<Fates>>,
    before: BTreeSet<String>,
}

impl Load {
    /// The kinds of its containers. Whoever has a load behind a story leaves them to it.
    pub const KINDS: [&str; 2] = [rooms::KIND, visits::KIND];

    /// Begins in the network at `address`, and returns once every room has answered.
    ///
    /// # Errors
    /// When one does not.
    pub async fn start(address: &str, live: &Live) -> Result<Self> {
        let before = there(live).await?;
        let (stop, stopped) = watch::channel(false);
        let mut load = Self {
            stop,
            clients: Vec::new(),
            tasks: JoinSet::new(),
            before,
        };
        let name = Uuid::new_v4();
        for way in [Way::Routed, Way::Direct] {
            let client = Client::builder(address).build();
            for number in 0..ROOMS {
                let name = format!("load-{name}-{way:?}-{number}");
                let room = Room::enter(&client, &name, way).await?;
                load.tasks.spawn(room.talk(stopped.clone()));
            }
            load.clients.push(client);
        }
        // Two look for the same labels.
        for by in [By::Uuid, By::Uuid, By::Labels, By::Labels] {
            let client = Client::builder(address).build();
            let visitor = visits::visit(client.clone(), by, stopped.clone());
            load.tasks.spawn(visitor);
            load.clients.push(client);
        }
        Ok(load)
    }

    /// Ends it, each room with an answer, sums up, and waits until the network holds nothing of it.
    ///
    /// # Errors
    /// When anything of what the load promises is not so.
    pub async fn stop(mut self, live: &Live) -> Result<Fates> {
        self.stop.send_replace(true);
        let mut all = Fates::default();
        let summed = timeout(LAST_ANSWER, async {
            while let Some(one) = self.tasks.join_next().await {
                all.add(one.context("a client was cut off")??);
            }
            anyhow::Ok(())
        });
        summed
            .await
            .context("a client does not come to its end")??;
        for client in self.clients {
            client.close().await;
        }
        until_nothing_is_left(live, &self.before).await?;
        Ok(all)
    }
}

/// Waits until the containers of the load's kinds are those of before: released, and ended but for
/// those that a server found when it started, which spares them for a minute.
async fn until_nothing_is_left(live: &Live, before: &BTreeSet<String>) -> Result<()> {
    let newest = live.client().get(visits::KIND).new_container().await?;
    let placement = newest.placement().context("it has a place")?;
    let now = placement.epoch.context("it has an epoch")?;
    newest.release().await?;
    eventually(LEFT, "nothing of the load is left", async || {
        for kind in Load::KINDS {
            for container in live.client().containers(Some(kind)).await? {
                let more = container.huly.as_ref();
                let free = more.and_then(|more| more.references) == Some(0);
                let epoch = more.and_then(|more| more.epoch);
                let spared = epoch.is_some_and(|epoch| epoch.term < now.term);
                let was_there = before.contains(&container.uuid);
                ensure!(was_there || free && spared, "{container:?}");
            }
        }
        Ok(())
    })
    .await
}

/// The containers of the load's kinds.
async fn there(live: &Live) -> Result<BTreeSet<String>> {
    let mut there = BTreeSet::new();
    for kind in Load::KINDS {
        let containers = live.client().containers(Some(kind)).await?;
        there.extend(containers.into_iter().map(|container| container.uuid));
    }
    Ok(there)
}

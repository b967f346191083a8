//! A steady load: clients that use a network while something happens to it.

mod fates;
mod journal;
mod original;
mod rooms;
mod visits;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_client::Client;
use huly_protocol::ContainerRecord;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

pub use self::fates::Fates;
pub use self::original::OriginalTalker;
use self::rooms::{Manner, Room};
use self::visits::By;
use crate::eventually::eventually;
use crate::held::Way;
use crate::live::Live;

/// How long a room of a load may be without an answer: more than five times what a failure takes that
/// the network gets over by itself.
pub const SILENCE: Duration = Duration::from_secs(30);

/// How long after the story rooms may be silent.
const AGAIN: Duration = Duration::from_secs(30);

/// How long the last answers may take.
const LAST_ANSWER: Duration = Duration::from_secs(60);

/// How long what is released may be there. A server that has started spares for a minute what a
/// client says to have held before.
const LEFT: Duration = Duration::from_secs(90);

/// How many rooms are talked in by each way, and how: of patient clients one on each of three agents.
const ROOMS: [(Manner, usize); 2] = [(Manner::Steady, 4), (Manner::Patient, 3)];

/// Clients that talk in rooms through the network server and past it, most of them at a steady rate,
/// some once the last was answered; and clients that get, ask and
/// release short-lived containers by uuid and by labels, at a steady rate, too: whatever became of
/// what they asked before.
///
/// What becomes of each call is known in the end, and must fit: no message that was answered is
/// lost, none ran twice, none ran that is said not to have run; each error is one that a healthy user
/// may get meanwhile, and none comes late; no room is silent for long; nothing is left in the network.
pub struct Load {
    name: String,
    stop: watch::Sender<bool>,
    clients: Vec<Client>,
    tasks: JoinSet<Result<Fates>>,
}

impl Load {
    /// The kinds of its containers. Whoever has a load behind a story leaves them to it.
    pub const KINDS: [&str; 2] = [rooms::KIND, visits::KIND];

    /// Begins in the network at `address`, and returns once every room has answered.
    ///
    /// # Errors
    /// When one does not.
    pub async fn start(address: &str) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let name = format!("load-{}", Uuid::new_v4());
        let mut load = Self {
            name: name.clone(),
            stop,
            clients: Vec::new(),
            tasks: JoinSet::new(),
        };
        for way in [Way::Routed, Way::Direct] {
            let client = Client::builder(address).build();
            for (manner, count) in ROOMS {
                for number in 0..count {
                    let name = format!("{name}-{way:?}-{manner:?}-{number}");
                    let room = Room::enter(&client, &name, way, manner).await?;
                    load.tasks.spawn(room.talk(stopped.clone()));
                }
            }
            load.clients.push(client);
        }
        // Two look for the same labels.
        for by in [By::Uuid, By::Uuid, By::Labels, By::Labels] {
            let client = Client::builder(address).build();
            let visitor = visits::visit(client.clone(), name.clone(), by, stopped.clone());
            load.tasks.spawn(visitor);
            load.clients.push(client);
        }
        Ok(load)
    }

    /// Ends it, each room with an answer, sums up, and waits until the network holds nothing of it. No
    /// room may have been silent for `silence`.
    ///
    /// # Errors
    /// When anything of what the load promises is not so.
    pub async fn stop(mut self, live: &Live, silence: Duration) -> Result<Fates> {
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
        until_nothing_is_left(live, &self.name).await?;
        all.within(silence)?;
        Ok(all)
    }
}

/// Waits until the containers of a load are released, and ended but for those that a server found when
/// it started, which spares them for a minute.
async fn until_nothing_is_left(live: &Live, name: &str) -> Result<()> {
    let get = live.client().get(visits::KIND).labels([name]);
    let newest = get.new_container().await?;
    let placement = newest.placement().context("it has a place")?;
    let now = placement.epoch.context("it has an epoch")?;
    newest.release().await?;
    eventually(LEFT, "nothing of the load is left", async || {
        let all = live.client().containers(None).await?;
        for container in all.iter().filter(|container| is_of(container, name)) {
            let more = container.huly.as_ref();
            let free = more.and_then(|more| more.references) == Some(0);
            let epoch = more.and_then(|more| more.epoch);
            let spared = epoch.is_some_and(|epoch| epoch.term < now.term);
            ensure!(free && spared, "{container:?}");
        }
        Ok(())
    })
    .await
}

/// Whether a container is one of the load's own: by its uuid, or by what it was asked for.
fn is_of(container: &ContainerRecord, load: &str) -> bool {
    let mut labels = container.labels.iter().flatten();
    container.uuid.starts_with(load) || labels.any(|label| label.starts_with(load))
}

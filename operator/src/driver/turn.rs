//! The time between two changes of who leads.

use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::future::Fuse;
use huly_client::{Client as NetworkClient, Update};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::calls::call;
use super::session;
use super::watches::Audience;
use super::writes::Writer;
use crate::args::RunArgs;
use crate::core::{Core, Effect, FeedUpdate, Input};
use crate::election::Leadership;

/// How long detaching may take.
const DETACH: Duration = Duration::from_secs(3);

/// See the module.
pub(super) struct Turn {
    pub(super) core: Core,
    pub(super) inputs: UnboundedReceiver<Input>,
    /// Another process has taken the session over.
    pub(super) superseded: Fuse<oneshot::Receiver<String>>,
    sender: UnboundedSender<Input>,
    leader: Option<Leader>,
}

/// What only who leads has.
struct Leader {
    leadership: Leadership,
    network: NetworkClient,
    writer: Writer,
    /// Whether the feed is followed.
    feed: bool,
}

impl Turn {
    pub(super) fn of_follower(core: Core) -> Self {
        let (sender, inputs) = unbounded_channel();
        Self {
            core,
            inputs,
            superseded: Fuse::terminated(),
            sender,
            leader: None,
        }
    }

    pub(super) fn of_leader(
        core: Core,
        network: NetworkClient,
        leadership: Leadership,
        writer: Writer,
        args: &RunArgs,
    ) -> Self {
        let mut turn = Self::of_follower(core);
        turn.superseded = session::start(&network, args, &turn.sender).fuse();
        turn.leader = Some(Leader {
            leadership,
            network,
            writer,
            feed: false,
        });
        turn
    }

    /// The fencing number; none of who looks on.
    pub(super) fn number(&self) -> Option<u64> {
        let leader = self.leader.as_ref()?;
        Some(leader.leadership.number)
    }

    /// Whether this process leads at this moment.
    pub(super) fn leads(&self) -> bool {
        let leader = self.leader.as_ref();
        leader.is_some_and(|leader| leader.leadership.tenure.lasts())
    }

    /// Where the watches tell what they see.
    pub(super) fn audience(&self, floor: u64) -> Audience {
        Audience {
            inputs: self.sender.clone(),
            floor,
        }
    }

    /// Does it in the background; its outcome is an input.
    pub(super) fn carry_out(&self, effect: Effect) {
        let Some(leader) = &self.leader else {
            return;
        };
        let (writer, network) = (leader.writer.clone(), leader.network.clone());
        let (sender, tenure) = (self.sender.clone(), leader.leadership.tenure.clone());
        tokio::spawn(async move {
            let outcome = match effect {
                Effect::WriteClaim {
                    claim,
                    version,
                    status,
                } => Some(writer.write_claim(claim, version, &status).await),
                Effect::WriteKind {
                    name,
                    uid,
                    version,
                    status,
                } => Some(writer.write_kind(name, uid, version, &status).await),
                // Of a leadership that is over nobody waits for the outcome.
                _ if !tenure.lasts() => None,
                effect => call(&network, effect).await,
            };
            if let Some(outcome) = outcome {
                let _ = sender.send(Input::Outcome(outcome));
            }
        });
    }

    /// Follows the network's feed as soon as it is of use.
    pub(super) fn follow_feed(&mut self) {
        let Some(leader) = self.leader.as_mut().filter(|leader| !leader.feed) else {
            return;
        };
        if !self.core.wants_feed() {
            return;
        }
        leader.feed = true;
        let mut updates = leader.network.updates();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(update) = updates.next().await {
                let update = match update {
                    Update::Reset => FeedUpdate::Reset,
                    Update::Snapshot(event) => FeedUpdate::Snapshot(event),
                    Update::Event(event) => FeedUpdate::Event(event),
                };
                if sender.send(Input::Feed(update)).is_err() {
                    return;
                }
            }
        });
    }

    /// Does nothing any more, and leaves the network without releasing anything.
    pub(super) async fn end(mut self) {
        self.inputs.close();
        let Some(leader) = self.leader.take() else {
            return;
        };
        leader.leadership.tenure.end();
        if timeout(DETACH, leader.network.detach()).await.is_err() {
            tracing::warn!("the network server does not let go of the session");
        }
    }
}

//! Direct connections: one to the ROUTER of each agent, shared by its containers, and one to each
//! container that has a ROUTER of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use huly_protocol::Json;
use huly_session::direct::DirectWay;
use huly_session::{Config, Peer};
use tokio::sync::mpsc;

use crate::driver;
use crate::error::Error;
use crate::ground::Ground;
use crate::handle::{Command, Handle};

/// A connection to a ROUTER that is not the network server's.
#[derive(Debug)]
pub(crate) struct DirectLink {
    pub(crate) handle: Handle,
    /// Whether it is an agent's: requests and events name their container.
    pub(crate) of_agent: bool,
}

impl DirectLink {
    pub(crate) fn is_up(&self) -> bool {
        self.handle.state.borrow().up
    }
}

/// A container's events over a link; dropped, they end.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) link: Arc<DirectLink>,
    uuid: String,
    subscriber: u64,
}

impl Subscription {
    /// Has the events of a container sent to `events`.
    pub(crate) async fn begin(
        link: Arc<DirectLink>,
        uuid: &str,
        events: Arc<Fanout>,
    ) -> Result<Self, Error> {
        let subscriber = link.handle.number();
        let token = link.handle.number();
        // Made first: given up half-way, it takes itself back.
        let subscription = Self {
            link,
            uuid: uuid.to_owned(),
            subscriber,
        };
        subscription
            .link
            .handle
            .ask(token, |answer| Command::Connect {
                token,
                uuid: uuid.to_owned(),
                subscriber,
                events,
                answer,
            })
            .await?;
        if !subscription.link.of_agent {
            // A container's own ROUTER is asked nothing for its events: hello is all.
            subscription.link.handle.ready().await;
        }
        Ok(subscription)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A link that has ended sends no events anyway.
        let _ = self.link.handle.send(Command::Disconnect {
            uuid: std::mem::take(&mut self.uuid),
            subscriber: self.subscriber,
        });
    }
}

/// The links that are in use.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    links: Mutex<HashMap<DirectWay, Weak<DirectLink>>>,
}

impl Pool {
    /// The link that leads there.
    pub(crate) fn link(&self, config: &Config, ground: &Ground, way: DirectWay) -> Arc<DirectLink> {
        let mut links = lock(&self.links);
        links.retain(|_, link| link.strong_count() > 0);
        if let Some(link) = links.get(&way).and_then(Weak::upgrade) {
            return link;
        }
        let of_agent = way.of_agent();
        let config = Config {
            peer: if of_agent {
                Peer::Agent
            } else {
                Peer::Container
            },
            // An agent has no business with it.
            secret: None,
            fencing: None,
            container: way.container(),
            request_prefix: format!("{}l", config.request_prefix),
            seed: ground.random(),
            ..config.clone()
        };
        let link = Arc::new(DirectLink {
            handle: driver::start(&way.authority, config, ground.clone(), of_agent),
            of_agent,
        });
        links.insert(way, Arc::downgrade(&link));
        link
    }
}

/// Gives each event to all who listen.
#[derive(Debug, Default)]
pub(crate) struct Fanout {
    ears: Mutex<Ears>,
}

#[derive(Debug)]
enum Ears {
    /// Nobody has listened yet. The last events are kept: a container may greet who connects, before
    /// the caller has come to listen.
    Early(VecDeque<Json>),
    Listeners(Vec<mpsc::UnboundedSender<Json>>),
}

impl Default for Ears {
    fn default() -> Self {
        Self::Early(VecDeque::new())
    }
}

impl Fanout {
    /// How many events are kept for the first who listens.
    const EARLY: usize = 64;

    pub(crate) fn listen(&self) -> mpsc::UnboundedReceiver<Json> {
        let (sender, receiver) = mpsc::unbounded_channel();
        match &mut *lock(&self.ears) {
            Ears::Listeners(listeners) => listeners.push(sender),
            ears => {
                let listeners = Ears::Listeners(vec![sender.clone()]);
                if let Ears::Early(events) = std::mem::replace(ears, listeners) {
                    for event in events {
                        // The receiver is here.
                        let _ = sender.send(event);
                    }
                }
            }
        }
        receiver
    }

    pub(crate) fn send(&self, event: &Json) {
        match &mut *lock(&self.ears) {
            Ears::Early(events) => {
                if events.len() == Self::EARLY {
                    events.pop_front();
                }
                events.push_back(event.clone());
            }
            Ears::Listeners(listeners) => {
                listeners.retain(|listener| listener.send(event.clone()).is_ok());
            }
        }
    }

    /// Ends the streams of those who listen.
    pub(crate) fn end(&self) {
        *lock(&self.ears) = Ears::Listeners(Vec::new());
    }
}

/// A panic while holding one of these locks leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

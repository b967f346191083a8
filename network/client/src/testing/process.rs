//! A process of a test's network: what a client, an agent or the server stands on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use huly_protocol::Frame;
use huly_session::Input;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use uuid::Uuid;
use zeromq::{ZmqError, ZmqResult};

use super::ADDRESS;
use super::fabric::{Dialed, Fabric, Heard, Name};
use super::server::BEGIN_MS;
use crate::builder::ClientBuilder;
use crate::client::Client;
use crate::clock::Clock;
use crate::socket::CONNECT_TIMEOUT;

/// A process of a test's network. For who builds upon it: tests have clients and agents.
#[derive(Debug, Clone)]
pub struct Process {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fabric: Arc<Fabric>,
    name: Name,
    /// What its random numbers are made of.
    chance: Uuid,
    drawn: AtomicU64,
}

impl Process {
    pub(super) fn start(fabric: Arc<Fabric>, name: &str) -> Self {
        let (named, life) = fabric.process(name);
        // Of no other process, so that what one draws does not change what another does.
        let of = format!("{}/{name}/{life}", fabric.seed);
        let shared = Shared {
            fabric,
            name: named,
            chance: Uuid::new_v5(&Uuid::NAMESPACE_OID, of.as_bytes()),
            drawn: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The network's clock.
    pub fn clock(&self) -> Clock {
        self.shared.fabric.clock
    }

    /// What its zero is, in ms since 1970.
    pub fn begin_ms(&self) -> u64 {
        BEGIN_MS
    }

    /// A uuid that nobody else makes, the same in each run.
    pub fn uuid(&self) -> Uuid {
        let drawn = self.shared.drawn.fetch_add(1, Ordering::Relaxed);
        Uuid::new_v5(&self.shared.chance, &drawn.to_be_bytes())
    }

    pub(crate) fn random(&self) -> u64 {
        self.uuid().as_u64_pair().1
    }

    /// A client in this process.
    pub fn client(&self) -> ClientBuilder {
        Client::builder(ADDRESS).in_process(self.clone())
    }

    /// Listens at an address, if it is free.
    pub fn listen(&self, address: &str) -> Option<Listener> {
        let Shared { fabric, name, .. } = &*self.shared;
        let (to, heard) = mpsc::unbounded_channel();
        let listening = fabric.listen(name, address, to)?;
        Some(Listener {
            fabric: fabric.clone(),
            listening,
            heard,
        })
    }

    /// Ends the process as a kill does: its connections are closed, nothing is said any more.
    pub fn kill(&self) {
        self.shared.fabric.kill(&self.shared.name);
    }

    pub(crate) async fn dial(&self, endpoint: &str) -> ZmqResult<Wire> {
        let Shared { fabric, name, .. } = &*self.shared;
        let address = endpoint.trim_start_matches("tcp://");
        let (to, heard) = mpsc::unbounded_channel();
        match fabric.dial(name, address, to) {
            Dialed::Strand(strand) => Ok(Wire {
                fabric: fabric.clone(),
                strand,
                heard,
            }),
            Dialed::Refused => Err(ZmqError::Other("nobody listens there")),
            Dialed::Unanswered => {
                tokio::time::sleep(CONNECT_TIMEOUT).await;
                Err(ZmqError::ConnectTimeout(CONNECT_TIMEOUT))
            }
        }
    }
}

/// The side of a wire that dialed.
pub(crate) struct Wire {
    fabric: Arc<Fabric>,
    strand: u64,
    heard: UnboundedReceiver<Option<Frame>>,
}

impl Wire {
    pub(crate) async fn next(&mut self) -> Input {
        match self.heard.recv().await {
            Some(Some(frame)) => Input::Frame(frame),
            Some(None) | None => Input::Disconnected,
        }
    }

    pub(crate) fn send(&self, frame: Frame) {
        self.fabric.send_up(self.strand, frame);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.fabric.hang_up(self.strand);
    }
}

/// A ROUTER of a process. Dropped, its connections are closed.
#[derive(Debug)]
pub struct Listener {
    fabric: Arc<Fabric>,
    listening: u64,
    heard: UnboundedReceiver<Heard>,
}

impl Listener {
    /// What comes next; nothing when the process was killed. Safe to be dropped and called again.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Sends a message; to a connection that is closed, nothing.
    pub fn send(&self, conn: &Bytes, frame: Frame) {
        self.fabric.send_down(self.listening, conn, frame);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.fabric.unlisten(self.listening);
    }
}

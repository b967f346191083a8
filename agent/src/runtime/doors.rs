//! The ROUTERs of containers that have one of their own: a socket and a task on the agent's thread
//! for each.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};

use bytes::Bytes;
#[cfg(feature = "testing")]
use huly_client::testing::{Listener, Process};
use huly_protocol::Frame;
use huly_router::Limits;
use tokio::sync::mpsc;

use crate::core::{Door, Input, Run};
use crate::runtime::router::Router;

/// Messages of all of them that wait for the agent's thread: above it they are not read.
const UNREAD: usize = 1_024;

type Message = (Bytes, Frame);

/// Where they listen.
pub(crate) enum Place {
    /// On any free port of an address; what waits for their clients is bounded together.
    Ip(IpAddr, Limits),
    /// In a test's network.
    #[cfg(feature = "testing")]
    Wires {
        process: Process,
        host: String,
        /// The last port that was opened.
        port: u16,
    },
}

impl Place {
    fn open(&mut self) -> io::Result<(u16, Ear)> {
        match self {
            Self::Ip(ip, limits) => {
                let listener = TcpListener::bind((*ip, 0))?;
                let port = listener.local_addr()?.port();
                Ok((port, Ear::Socket(listener, limits.clone())))
            }
            #[cfg(feature = "testing")]
            Self::Wires {
                process,
                host,
                port,
            } => {
                *port = port.checked_add(1).ok_or(io::ErrorKind::AddrInUse)?;
                let listener = process.listen(&format!("{host}:{port}"));
                let listener = listener.ok_or(io::ErrorKind::AddrInUse)?;
                Ok((*port, Ear::Wires(listener)))
            }
        }
    }
}

/// What listens, before it is a ROUTER.
enum Ear {
    Socket(TcpListener, Limits),
    #[cfg(feature = "testing")]
    Wires(Listener),
}

impl Ear {
    async fn router(self, door: Door) -> anyhow::Result<Router> {
        match self {
            Self::Socket(listener, limits) => Router::bind(listener, door, limits).await,
            #[cfg(feature = "testing")]
            Self::Wires(listener) => Ok(Router::wires(listener, door)),
        }
    }
}

/// All that are open.
pub(crate) struct Doors {
    place: Place,
    inputs: mpsc::Sender<Input>,
    taken: mpsc::Receiver<Input>,
    open: HashMap<Run, mpsc::UnboundedSender<Message>>,
}

impl Doors {
    pub(crate) fn new(place: Place) -> Self {
        let (inputs, taken) = mpsc::channel(UNREAD);
        Self {
            place,
            inputs,
            taken,
            open: HashMap::new(),
        }
    }

    /// Opens one for a container; returns the port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When there is no free port or no file descriptor.
    pub(crate) fn open(&mut self, run: Run) -> io::Result<u16> {
        let (port, ear) = self.place.open()?;
        let (sender, outbound) = mpsc::unbounded_channel();
        self.open.insert(run, sender);
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let door = Door::Container(run);
            if let Err(error) = serve(ear, door, outbound, inputs).await {
                tracing::warn!(port, %error, "a container's ROUTER failed");
            }
        });
        Ok(port)
    }

    /// What comes next on any of them. Safe to be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Input> {
        self.taken.recv().await
    }

    /// Sends a message, unless the container has ended.
    pub(crate) fn send(&self, run: Run, name: Bytes, frame: Frame) {
        if let Some(open) = self.open.get(&run) {
            // A ROUTER that failed said so.
            let _ = open.send((name, frame));
        }
    }

    /// Closes one, once what was to be sent on it is handed to its socket.
    pub(crate) fn close(&mut self, run: Run) {
        self.open.remove(&run);
    }
}

async fn serve(
    ear: Ear,
    door: Door,
    mut outbound: mpsc::UnboundedReceiver<Message>,
    inputs: mpsc::Sender<Input>,
) -> anyhow::Result<()> {
    let mut router = ear.router(door).await?;
    loop {
        let input = tokio::select! {
            biased;
            message = outbound.recv() => match message {
                Some((name, frame)) => {
                    router.send(&name, frame);
                    continue;
                }
                None => return Ok(()),
            },
            input = router.next() => input?,
        };
        if let Some(input) = input
            && inputs.send(input).await.is_err()
        {
            // The agent's thread ends.
            return Ok(());
        }
    }
}

//! The ROUTERs of containers that have one of their own: a socket and a task on the agent's thread
//! for each.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};

use bytes::Bytes;
use huly_protocol::Frame;
use tokio::sync::mpsc;

use crate::core::{Conn, Door, Input, Run};
use crate::runtime::router::Router;

/// Messages of all of them that wait for the agent's thread: above it they are not read.
const UNREAD: usize = 1_024;

type Message = (Bytes, Frame);

/// All that are open.
pub(crate) struct Doors {
    /// Where they listen, on any free port.
    ip: IpAddr,
    inputs: mpsc::Sender<Input>,
    taken: mpsc::Receiver<Input>,
    open: HashMap<Run, mpsc::UnboundedSender<Message>>,
}

impl Doors {
    pub(crate) fn new(ip: IpAddr) -> Self {
        let (inputs, taken) = mpsc::channel(UNREAD);
        Self {
            ip,
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
        let listener = TcpListener::bind((self.ip, 0))?;
        let port = listener.local_addr()?.port();
        let (sender, outbound) = mpsc::unbounded_channel();
        self.open.insert(run, sender);
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let door = Door::Container(run);
            if let Err(error) = serve(listener, door, outbound, inputs).await {
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
    listener: TcpListener,
    door: Door,
    mut outbound: mpsc::UnboundedReceiver<Message>,
    inputs: mpsc::Sender<Input>,
) -> anyhow::Result<()> {
    let mut router = Router::bind(listener, door).await?;
    loop {
        let input = tokio::select! {
            biased;
            message = outbound.recv() => match message {
                Some((name, frame)) => match router.send(name.clone(), frame) {
                    true => None,
                    false => {
                        tracing::warn!("a client does not read: its connection counts as closed");
                        Some(Input::Closed { conn: Conn { door, name } })
                    }
                },
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

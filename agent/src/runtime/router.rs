//! A ROUTER that clients connect to: the agent's own, or a container's.

use std::net::TcpListener;

use bytes::Bytes;
use futures::channel::mpsc::Receiver;
use futures::{FutureExt, StreamExt};
#[cfg(feature = "testing")]
use huly_client::testing::{Heard, Listener};
use huly_protocol::Frame;
use zeromq::{
    RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqError, ZmqMessage,
};

use crate::core::{Conn, Door, Input};

pub(crate) struct Router {
    door: Door,
    way: Way,
}

enum Way {
    Sockets(Sockets),
    /// In a test's network.
    #[cfg(feature = "testing")]
    Wires(Listener),
}

impl Router {
    pub(crate) async fn bind(listener: TcpListener, door: Door) -> anyhow::Result<Self> {
        let way = Way::Sockets(Sockets::bind(listener).await?);
        Ok(Self { door, way })
    }

    /// In a test's network.
    #[cfg(feature = "testing")]
    pub(crate) fn wires(listener: Listener, door: Door) -> Self {
        let way = Way::Wires(listener);
        Self { door, way }
    }

    /// What comes next; nothing where the core need not know. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When the ROUTER itself failed.
    pub(crate) async fn next(&mut self) -> Result<Option<Input>, ZmqError> {
        let door = self.door;
        match &mut self.way {
            Way::Sockets(sockets) => sockets.next(door).await,
            #[cfg(feature = "testing")]
            Way::Wires(listener) => match listener.next().await {
                Some(Heard::Message { conn: name, frame }) => {
                    let conn = Conn { door, name };
                    Ok(Some(Input::Message { conn, frame }))
                }
                Some(Heard::Closed { conn: name }) => {
                    let conn = Conn { door, name };
                    Ok(Some(Input::Closed { conn }))
                }
                None => Err(ZmqError::NoMessage),
            },
        }
    }

    /// Hands a message to the socket; says whether it took it. Never waits: a peer that does not
    /// read must not hold up the others.
    pub(crate) fn send(&mut self, name: Bytes, frame: Frame) -> bool {
        match &mut self.way {
            Way::Sockets(sockets) => sockets.send(name, frame),
            #[cfg(feature = "testing")]
            Way::Wires(listener) => {
                listener.send(&name, frame);
                true
            }
        }
    }
}

struct Sockets {
    recv: RouterRecvHalf,
    send: RouterSendHalf,
    monitor: Receiver<SocketEvent>,
}

impl Sockets {
    async fn bind(listener: TcpListener) -> anyhow::Result<Self> {
        let mut router = RouterSocket::new();
        // Taken before the split: it alone tells of connections' ends.
        let monitor = router.monitor();
        router.bind_listener(listener).await?;
        let (send, recv) = router.split();
        Ok(Self {
            recv,
            send,
            monitor,
        })
    }

    async fn next(&mut self, door: Door) -> Result<Option<Input>, ZmqError> {
        tokio::select! {
            // Messages first: a close then comes after all that its connection had sent.
            biased;
            message = self.recv.recv() => Ok(Some(read(door, message?))),
            event = self.monitor.next() => match event {
                Some(SocketEvent::Disconnected(peer)) => Ok(Some(Input::Closed {
                    conn: Conn { door, name: Bytes::from(peer) },
                })),
                Some(SocketEvent::AcceptFailed(error)) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    Ok(None)
                }
                Some(_) => Ok(None),
                None => Err(ZmqError::NoMessage),
            },
        }
    }

    fn send(&mut self, name: Bytes, frame: Frame) -> bool {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(name);
        message.push_back(op);
        message.push_back(id);
        message.push_back(payload);
        match self.send.send(message).now_or_never() {
            Some(Ok(())) => true,
            // The connection is gone; the monitor says so.
            Some(Err(error)) => {
                tracing::debug!(%error, "message to a closed connection");
                true
            }
            None => false,
        }
    }
}

fn read(door: Door, message: ZmqMessage) -> Input {
    let mut parts = message.into_vecdeque().into_iter();
    let name = parts.next().unwrap_or_default();
    let conn = Conn { door, name };
    match Frame::decode(parts) {
        Ok(frame) => Input::Message { conn, frame },
        Err(error) => Input::Unreadable {
            reason: error.reason(),
        },
    }
}

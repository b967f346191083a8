//! The agent's own ROUTER.

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

use crate::core::Input;

/// The agent's own ROUTER.
pub(crate) enum Router {
    Sockets(Sockets),
    /// In a test's network.
    #[cfg(feature = "testing")]
    Wires(Listener),
}

impl Router {
    pub(crate) async fn bind(listener: TcpListener) -> anyhow::Result<Self> {
        Ok(Self::Sockets(Sockets::bind(listener).await?))
    }

    /// What comes next; nothing where the core need not know. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When the ROUTER itself failed.
    pub(crate) async fn next(&mut self) -> Result<Option<Input>, ZmqError> {
        match self {
            Self::Sockets(sockets) => sockets.next().await,
            #[cfg(feature = "testing")]
            Self::Wires(listener) => match listener.next().await {
                Some(Heard::Message { conn, frame }) => Ok(Some(Input::Message { conn, frame })),
                Some(Heard::Closed { conn }) => Ok(Some(Input::Closed { conn })),
                None => Err(ZmqError::NoMessage),
            },
        }
    }

    /// Hands a message to the socket; says whether it took it. Never waits: a peer that does not
    /// read must not hold up the others.
    pub(crate) fn send(&mut self, conn: Bytes, frame: Frame) -> bool {
        match self {
            Self::Sockets(sockets) => sockets.send(conn, frame),
            #[cfg(feature = "testing")]
            Self::Wires(listener) => {
                listener.send(&conn, frame);
                true
            }
        }
    }
}

pub(crate) struct Sockets {
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

    async fn next(&mut self) -> Result<Option<Input>, ZmqError> {
        tokio::select! {
            // Messages first: a close then comes after all that its connection had sent.
            biased;
            message = self.recv.recv() => Ok(Some(read(message?))),
            event = self.monitor.next() => match event {
                Some(SocketEvent::Disconnected(peer)) => Ok(Some(Input::Closed {
                    conn: Bytes::from(peer),
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

    fn send(&mut self, conn: Bytes, frame: Frame) -> bool {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(conn);
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

fn read(message: ZmqMessage) -> Input {
    let mut parts = message.into_vecdeque().into_iter();
    let conn = parts.next().unwrap_or_default();
    match Frame::decode(parts) {
        Ok(frame) => Input::Message { conn, frame },
        Err(error) => Input::Unreadable {
            reason: error.reason(),
        },
    }
}

//! The server's ROUTER.

use std::net::TcpListener;

use bytes::Bytes;
use futures::channel::mpsc::Receiver;
use futures::{FutureExt, StreamExt};
use huly_protocol::Frame;
use huly_registry::{ConnId, Input};
use zeromq::{
    RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqMessage,
};

use crate::run::wall_ms;
use crate::serve::Sockets;

pub(crate) struct Router {
    endpoint: String,
    recv: RouterRecvHalf,
    send: RouterSendHalf,
    monitor: Receiver<SocketEvent>,
}

impl Router {
    pub(crate) async fn bind(listener: TcpListener) -> anyhow::Result<Self> {
        let mut router = RouterSocket::new();
        let monitor = router.monitor();
        let endpoint = router.bind_listener(listener).await?.to_string();
        let (send, recv) = router.split();
        Ok(Self {
            endpoint,
            recv,
            send,
            monitor,
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Sockets for Router {
    type Error = anyhow::Error;

    async fn next(&mut self) -> anyhow::Result<Option<Input>> {
        tokio::select! {
            biased;
            message = self.recv.recv() => received(message),
            event = self.monitor.next() => noticed(event),
        }
    }

    async fn next_beside(&mut self) -> anyhow::Result<Option<Input>> {
        noticed(self.monitor.next().await)
    }

    fn send(&mut self, conn: &ConnId, frame: Frame) -> bool {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(conn.clone());
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

    fn wall_ms(&self) -> u64 {
        wall_ms()
    }
}

fn received(message: zeromq::ZmqResult<ZmqMessage>) -> anyhow::Result<Option<Input>> {
    let message = message.map_err(|error| anyhow::anyhow!("the ROUTER failed: {error}"))?;
    let mut parts = message.into_vecdeque().into_iter();
    let conn: Bytes = parts.next().unwrap_or_default();
    Ok(Some(match Frame::decode(parts) {
        Ok(frame) => Input::Message { conn, frame },
        Err(error) => Input::Unreadable {
            reason: error.reason(),
        },
    }))
}

fn noticed(event: Option<SocketEvent>) -> anyhow::Result<Option<Input>> {
    match event {
        Some(SocketEvent::Disconnected(peer)) => Ok(Some(Input::Closed {
            conn: Bytes::from(peer),
        })),
        Some(SocketEvent::AcceptFailed(error)) => {
            tracing::debug!(%error, "a connection was not accepted");
            Ok(None)
        }
        Some(_) => Ok(None),
        None => anyhow::bail!("the ROUTER's monitor ended"),
    }
}

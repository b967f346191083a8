//! One connection on the zeromq crate's DEALER. It does not reconnect: each connection is a socket
//! of its own.

use std::time::Duration;

use futures::channel::mpsc::Receiver;
use futures::{FutureExt, StreamExt};
use huly_protocol::Frame;
use huly_session::Input;
use zeromq::{
    DealerRecvHalf, DealerSendHalf, DealerSocket, Socket, SocketEvent, SocketOptions, SocketRecv,
    SocketSend, ZmqMessage, ZmqResult,
};

#[cfg(feature = "testing")]
use crate::testing::Wire;

/// How long connecting and the handshake may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection to a ROUTER.
pub(crate) enum Connection {
    Socket(Dealer),
    /// To one in a test's network.
    #[cfg(feature = "testing")]
    Wire(Wire),
}

impl Connection {
    /// What comes next. Safe to be dropped and called again.
    pub(crate) async fn next(&mut self) -> Input {
        match self {
            Self::Socket(dealer) => dealer.next().await,
            #[cfg(feature = "testing")]
            Self::Wire(wire) => wire.next().await,
        }
    }

    /// Hands a message over; says whether it was taken. Never waits: a peer that does not read for
    /// so long that the socket's queue is full counts as gone.
    pub(crate) fn send(&mut self, frame: Frame) -> bool {
        match self {
            Self::Socket(dealer) => dealer.send(frame),
            #[cfg(feature = "testing")]
            Self::Wire(wire) => {
                wire.send(frame);
                true
            }
        }
    }
}

pub(crate) struct Dealer {
    send: DealerSendHalf,
    recv: DealerRecvHalf,
    monitor: Receiver<SocketEvent>,
}

pub(crate) async fn dial(endpoint: &str) -> ZmqResult<Dealer> {
    let mut options = SocketOptions::default();
    options.connect_timeout(CONNECT_TIMEOUT);
    let mut socket = DealerSocket::with_options(options);
    // Taken before the split: it alone tells of the connection's end.
    let monitor = socket.monitor();
    socket.connect(endpoint).await?;
    let (send, recv) = socket.split();
    Ok(Dealer {
        send,
        recv,
        monitor,
    })
}

impl Dealer {
    async fn next(&mut self) -> Input {
        loop {
            tokio::select! {
                biased;
                message = self.recv.recv() => return match message {
                    Ok(message) => match Frame::decode(message.into_vecdeque()) {
                        Ok(frame) => Input::Frame(frame),
                        Err(error) => {
                            tracing::debug!(%error, "a message that is not of the protocol");
                            Input::Unreadable
                        }
                    },
                    Err(error) => {
                        tracing::debug!(%error, "the connection failed");
                        Input::Disconnected
                    }
                },
                event = self.monitor.next() => match event {
                    Some(SocketEvent::Disconnected(_)) | None => return Input::Disconnected,
                    Some(_) => {}
                },
            }
        }
    }

    fn send(&mut self, frame: Frame) -> bool {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(op);
        message.push_back(id);
        message.push_back(payload);
        matches!(self.send.send(message).now_or_never(), Some(Ok(())))
    }
}

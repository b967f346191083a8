use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc::Receiver;
use futures::{FutureExt, StreamExt};
use huly_protocol::{Frame, FrameError, Op};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeromq::{
    RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqError, ZmqMessage, ZmqResult,
};

use crate::Limits;
use crate::account::{Account, counted};
use crate::listener::close_what_is_dead;
use crate::outbound::{Outbound, Verdict, cost};

/// Peers of which something is kept before it is looked who can be forgotten: that a connection has
/// ended is not always told.
const SWEEP: usize = 1_024;

/// What comes in on a ROUTER. A connection is named by what the ROUTER named it.
#[derive(Debug)]
pub enum Came {
    /// A message, or what is none of the protocol.
    Message {
        /// From whom.
        conn: Bytes,
        /// What.
        frame: Result<Frame, FrameError>,
    },
    /// A connection is closed.
    Closed {
        /// Which.
        conn: Bytes,
    },
    /// A peer that does not read was cut: what waited for it is lost, and what is sent from now on is
    /// too, until it has read all that was on its way before. To go on it must say hello again; one
    /// that comes before that is not heard. Where its write deadline is over the close follows.
    Cut {
        /// Whose connection.
        conn: Bytes,
    },
    /// Much waits for a peer, or not any more: what can wait should not be sent to it.
    Slow {
        /// Whose connection.
        conn: Bytes,
        /// Whether it is so now.
        slow: bool,
    },
    /// Little waits for a peer, as [`Router::await_room`] asked.
    Room {
        /// Whose connection.
        conn: Bytes,
    },
}

/// A ROUTER that is bound. Its peers never make it wait.
pub struct Router {
    endpoint: String,
    limits: Limits,
    recv: RouterRecvHalf,
    send: RouterSendHalf,
    monitor: Receiver<SocketEvent>,
    peers: HashMap<Bytes, Outbound>,
    /// At how many of them it is looked who can be forgotten.
    sweep_at: usize,
    news: VecDeque<Came>,
    room: UnboundedSender<Bytes>,
    roomy: UnboundedReceiver<Bytes>,
}

impl Router {
    /// A ROUTER on a listener. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn bind(listener: TcpListener, limits: Limits) -> anyhow::Result<Self> {
        close_what_is_dead(&listener, limits.write_timeout);
        let mut router = RouterSocket::new();
        // Taken before the split: it alone tells of connections' ends.
        let monitor = router.monitor();
        let endpoint = router.bind_listener(listener).await?.to_string();
        let (send, recv) = router.split();
        let (room, roomy) = unbounded_channel();
        Ok(Self {
            endpoint,
            limits,
            recv,
            send,
            monitor,
            peers: HashMap::new(),
            sweep_at: SWEEP,
            news: VecDeque::new(),
            room,
            roomy,
        })
    }

    /// Where it listens, as ZeroMQ writes it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What comes next, messages first: a close then comes after all that its connection had sent.
    /// Nothing where nobody need know. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When the ROUTER itself failed.
    pub async fn next(&mut self) -> Result<Option<Came>, ZmqError> {
        self.wait(true).await
    }

    /// The same of what is no message.
    ///
    /// # Errors
    /// When the ROUTER itself failed.
    pub async fn next_beside(&mut self) -> Result<Option<Came>, ZmqError> {
        self.wait(false).await
    }

    async fn wait(&mut self, messages: bool) -> Result<Option<Came>, ZmqError> {
        if let Some(news) = self.news.pop_front() {
            return Ok(Some(news));
        }
        tokio::select! {
            biased;
            Some(conn) = self.roomy.recv() => self.refill(&conn),
            message = self.recv.recv(), if messages => return Ok(self.received(message?)),
            event = self.monitor.next() => return self.noticed(event),
        }
        Ok(None)
    }

    /// Sends a message. Never waits; what becomes of it where its peer does not read says
    /// [`Came::Cut`].
    pub fn send(&mut self, conn: &Bytes, frame: Frame) {
        if !self.peers.contains_key(conn) {
            self.meet(conn);
        }
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        match peer.take(frame, &self.limits) {
            Verdict::Send(frame) => {
                let handed = hand_over(&mut self.send, conn, frame, &peer.account);
                self.handed(conn, handed);
            }
            Verdict::Waits => {
                let changed = peer.slow_changed(&self.limits);
                self.tell_slow(conn, changed);
            }
            Verdict::Dropped => {}
            Verdict::Cut => self.tell_cut(conn, "too much waits for it"),
        }
    }

    /// Asks to be told, once, when little waits for a peer to which something was sent: by
    /// [`Came::Room`]. Never of one that is closed or cut before.
    pub fn await_room(&mut self, conn: &Bytes) {
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.await_room();
            self.tell_room(conn);
        }
    }

    /// The first message to a connection.
    fn meet(&mut self, conn: &Bytes) {
        if self.peers.len() >= self.sweep_at {
            self.peers.retain(|_, peer| !peer.is_idle());
            self.sweep_at = SWEEP.max(2 * self.peers.len());
        }
        let (room, all) = (self.room.clone(), self.limits.shared.0.clone());
        let peer = Outbound::new(Account::new(conn.clone(), room, all));
        self.peers.insert(conn.clone(), peer);
    }

    fn handed(&mut self, conn: &Bytes, handed: Option<ZmqResult<()>>) {
        match handed {
            Some(Ok(())) => {}
            // The connection is gone; the monitor says so.
            Some(Err(error)) => {
                tracing::debug!(%error, "message to a closed connection");
                self.peers.remove(conn);
            }
            None => {
                if let Some(peer) = self.peers.get_mut(conn) {
                    peer.cut();
                }
                self.tell_cut(conn, "its queue is full");
            }
        }
    }

    /// The crate has written of what it had for a peer.
    fn refill(&mut self, conn: &Bytes) {
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.mend();
        }
        while let Some(peer) = self.peers.get_mut(conn)
            && let Some(frame) = peer.next()
        {
            let handed = hand_over(&mut self.send, conn, frame, &peer.account);
            self.handed(conn, handed);
        }
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let changed = peer.slow_changed(&self.limits);
        self.tell_slow(conn, changed);
        self.tell_room(conn);
    }

    fn tell_cut(&mut self, conn: &Bytes, why: &str) {
        tracing::warn!(?conn, why, "a peer does not read: it is cut");
        self.news.push_back(Came::Cut { conn: conn.clone() });
    }

    fn tell_slow(&mut self, conn: &Bytes, changed: Option<bool>) {
        if let Some(slow) = changed {
            let conn = conn.clone();
            self.news.push_back(Came::Slow { conn, slow });
        }
    }

    fn tell_room(&mut self, conn: &Bytes) {
        if self.peers.get_mut(conn).is_some_and(Outbound::has_room) {
            self.news.push_back(Came::Room { conn: conn.clone() });
        }
    }

    fn received(&self, message: ZmqMessage) -> Option<Came> {
        let mut parts = message.into_vecdeque().into_iter();
        let conn = parts.next().unwrap_or_default();
        let frame = Frame::decode(parts);
        let hello = frame.as_ref().is_ok_and(|frame| frame.op == Op::Hello);
        // Its answer would be dropped, and what follows would not.
        if hello && self.peers.get(&conn).is_some_and(Outbound::is_cut) {
            return None;
        }
        Some(Came::Message { conn, frame })
    }

    fn noticed(&mut self, event: Option<SocketEvent>) -> Result<Option<Came>, ZmqError> {
        match event {
            Some(SocketEvent::Disconnected(peer)) => {
                let conn = Bytes::from(peer);
                let peer = self.peers.remove(&conn);
                if peer.is_some_and(|peer| peer.is_given_up(&self.limits)) {
                    self.tell_cut(&conn, "nothing was written within its deadline");
                }
                self.news.push_back(Came::Closed { conn });
                Ok(self.news.pop_front())
            }
            Some(SocketEvent::AcceptFailed(error)) => {
                tracing::debug!(%error, "a connection was not accepted");
                Ok(None)
            }
            Some(_) => Ok(None),
            None => Err(ZmqError::NoMessage),
        }
    }
}

/// Hands a message to the crate, counted; nothing if that would have to wait.
fn hand_over(
    send: &mut RouterSendHalf,
    conn: &Bytes,
    frame: Frame,
    account: &Arc<Account>,
) -> Option<ZmqResult<()>> {
    let bytes = cost(&frame);
    let [op, id, payload] = frame.encode();
    let mut message = ZmqMessage::from(conn.clone());
    message.push_back(counted(op, account, bytes));
    message.push_back(id);
    message.push_back(payload);
    send.send(message).now_or_never()
}

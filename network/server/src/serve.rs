//! The serving loop: the one thread through which every message goes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::channel::mpsc::Receiver;
use futures::{FutureExt, StreamExt};
use huly_protocol::Frame;
use huly_registry::{Config, ConnId, Effect, Input, Now, Registry};
use tokio::sync::mpsc::UnboundedReceiver;
use zeromq::{
    RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqMessage,
};

use crate::run::{Ask, wall_ms};

/// Messages after which closed connections and questions are looked at, however many more wait.
const BURST: u32 = 64;

/// How the loop ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// By a signal.
    Signal(&'static str),
    /// Another server took over.
    Superseded(String),
}

pub(crate) struct Loop {
    registry: Registry,
    started: Instant,
    endpoint: String,
    recv: RouterRecvHalf,
    send: RouterSendHalf,
    monitor: Receiver<SocketEvent>,
    asked: UnboundedReceiver<Ask>,
    /// Connections that could not take a message: given up.
    clogged: Vec<ConnId>,
}

impl Loop {
    pub(crate) async fn bind(
        listener: TcpListener,
        config: Config,
        asked: UnboundedReceiver<Ask>,
    ) -> anyhow::Result<Self> {
        let mut router = RouterSocket::new();
        let monitor = router.monitor();
        let endpoint = router.bind_listener(listener).await?.to_string();
        let (send, recv) = router.split();
        let started = Instant::now();
        let now = Now {
            mono: Duration::ZERO,
            wall_ms: wall_ms(),
        };
        Ok(Self {
            registry: Registry::new(config, now),
            started,
            endpoint,
            recv,
            send,
            monitor,
            asked,
            clogged: Vec::new(),
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) async fn run(&mut self) -> anyhow::Result<Outcome> {
        let mut burst = 0;
        loop {
            let next = if burst < BURST {
                self.next().await
            } else {
                self.next_aside().await
            };
            burst = if matches!(next, Next::Input(Input::Message { .. })) {
                burst + 1
            } else {
                0
            };
            let input = match next {
                Next::Input(input) => input,
                Next::Nothing => continue,
                Next::Ask(ask) => {
                    self.tell(ask);
                    continue;
                }
                Next::Failed(error) => return Err(error),
            };
            if let Some(reason) = self.handle(input).await {
                return Ok(Outcome::Superseded(reason));
            }
            while let Some(conn) = self.clogged.pop() {
                self.handle(Input::Cut { conn }).await;
            }
        }
    }

    /// Messages first: a close then comes after all that its connection had sent.
    async fn next(&mut self) -> Next {
        let wake = self
            .registry
            .next_wake()
            .map(|at| tokio::time::Instant::from_std(self.started + at));
        tokio::select! {
            biased;
            message = self.recv.recv() => received(message),
            event = self.monitor.next() => noticed(event),
            ask = self.asked.recv() => asked(ask),
            () = sleep_until(wake) => Next::Input(Input::Wake),
        }
    }

    /// What is there beside messages, without waiting.
    async fn next_aside(&mut self) -> Next {
        tokio::select! {
            biased;
            event = self.monitor.next() => noticed(event),
            ask = self.asked.recv() => asked(ask),
            () = std::future::ready(()) => Next::Nothing,
        }
    }

    /// Answers a question; who asked may have given up.
    fn tell(&self, ask: Ask) {
        match ask {
            Ask::Live(answer) => drop(answer.send(())),
            Ask::Ready(answer) => drop(answer.send(self.registry.snapshot())),
            Ask::Scrape(answer) => drop(answer.send(self.registry.snapshot())),
        }
    }

    /// Returns the reason if the process is to end.
    async fn handle(&mut self, input: Input) -> Option<String> {
        let now = Now {
            mono: self.started.elapsed(),
            wall_ms: wall_ms(),
        };
        let mut end = None;
        for effect in self.registry.handle(now, input) {
            match effect {
                Effect::Send { conn, frame } => self.send(conn, frame),
                Effect::Note { text } => tracing::info!("{text}"),
                Effect::Exit { reason } => end = Some(reason),
            }
        }
        end
    }

    /// Never waits: a peer that does not read must not hold up the others. A message that its
    /// queue cannot take is lost, and the connection given up: its peer is asked for a new hello.
    fn send(&mut self, conn: ConnId, frame: Frame) {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(conn.clone());
        message.push_back(op);
        message.push_back(id);
        message.push_back(payload);
        match self.send.send(message).now_or_never() {
            Some(Ok(())) => {}
            // The connection is gone; the monitor says so.
            Some(Err(error)) => tracing::debug!(%error, "message to a closed connection"),
            None => {
                tracing::warn!(?conn, "a peer does not read: its connection is given up");
                self.clogged.push(conn);
            }
        }
    }
}

enum Next {
    Input(Input),
    Ask(Ask),
    Nothing,
    Failed(anyhow::Error),
}

fn received(message: zeromq::ZmqResult<ZmqMessage>) -> Next {
    let message = match message {
        Ok(message) => message,
        Err(error) => return Next::Failed(anyhow::anyhow!("the ROUTER failed: {error}")),
    };
    let mut parts = message.into_vecdeque().into_iter();
    let conn: Bytes = parts.next().unwrap_or_default();
    Next::Input(match Frame::decode(parts) {
        Ok(frame) => Input::Message { conn, frame },
        Err(error) => Input::Unreadable {
            reason: error.reason(),
        },
    })
}

fn noticed(event: Option<SocketEvent>) -> Next {
    match event {
        Some(SocketEvent::Disconnected(peer)) => Next::Input(Input::Closed {
            conn: Bytes::from(peer),
        }),
        Some(SocketEvent::AcceptFailed(error)) => {
            tracing::debug!(%error, "a connection was not accepted");
            Next::Nothing
        }
        Some(_) => Next::Nothing,
        None => Next::Failed(anyhow::anyhow!("the ROUTER's monitor ended")),
    }
}

fn asked(ask: Option<Ask>) -> Next {
    ask.map_or(Next::Nothing, Next::Ask)
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

//! The network server of a test: the real serving loop, with wires in place of sockets.

use std::collections::VecDeque;
use std::convert::Infallible;

use huly_network::serve::{Ask, Loop, Sockets};
use huly_protocol::Frame;
use huly_registry::{Config, ConnId, Input};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::ADDRESS;
use super::fabric::Heard;
use super::process::{Listener, Process};
use crate::clock::Clock;

/// When every test's network begins, in ms since 1970.
pub(super) const BEGIN_MS: u64 = 1_700_000_000_000;

/// The time of day of a test's network, in ms since 1970.
pub(super) fn wall_ms(clock: Clock) -> u64 {
    BEGIN_MS + u64::try_from(clock.now().as_millis()).unwrap_or(u64::MAX - BEGIN_MS)
}

/// A server that runs; dropped, it is killed.
pub(super) struct Server {
    process: Process,
    task: AbortHandle,
    /// The loop asks for questions for as long as it runs.
    _ask: mpsc::UnboundedSender<Ask>,
}

impl Server {
    /// Starts one; nothing if there is one already.
    pub(super) fn start(process: Process, config: Config) -> Option<Self> {
        let listener = process.listen(ADDRESS)?;
        let (ask, asked) = mpsc::unbounded_channel();
        let clock = process.clock();
        let wires = Wires {
            listener,
            clock,
            roomy: VecDeque::new(),
        };
        let mut serving = Loop::new(wires, config, asked);
        let ending = process.clone();
        let task = tokio::spawn(async move {
            // Another server took over, or nobody can be heard any more.
            let _ = serving.run().await;
            ending.kill();
        });
        Some(Self {
            process,
            task: task.abort_handle(),
            _ask: ask,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        self.task.abort();
    }
}

struct Wires {
    listener: Listener,
    clock: Clock,
    /// Connections of which it is awaited that little waits for them: wires keep nothing waiting.
    roomy: VecDeque<ConnId>,
}

impl Sockets for Wires {
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Input>, Infallible> {
        if let Some(conn) = self.roomy.pop_front() {
            return Ok(Some(Input::Room { conn }));
        }
        match self.listener.next().await {
            Some(Heard::Message { conn, frame }) => Ok(Some(Input::Message { conn, frame })),
            Some(Heard::Closed { conn }) => Ok(Some(Input::Closed { conn })),
            // Killed, it is aborted.
            None => std::future::pending().await,
        }
    }

    /// Ends of connections come in order with messages.
    async fn next_beside(&mut self) -> Result<Option<Input>, Infallible> {
        std::future::pending().await
    }

    fn send(&mut self, conn: &ConnId, frame: Frame) {
        self.listener.send(conn, frame);
    }

    fn await_room(&mut self, conn: &ConnId) {
        self.roomy.push_back(conn.clone());
    }

    fn wall_ms(&self) -> u64 {
        wall_ms(self.clock)
    }
}

//! The serving loop: the one task through which every message goes.

#[cfg(feature = "program")]
pub(crate) mod router;

use std::time::Duration;

use huly_protocol::Frame;
use huly_registry::{Config, ConnId, Effect, Input, Now, Registry, Snapshot};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Messages after which closed connections and questions are looked at, however many more wait.
const BURST: u32 = 64;

/// The connections of the peers, and the time of day.
pub trait Sockets: Send {
    /// Why they cannot serve any more.
    type Error;

    /// What comes next, messages first: a close then comes after all that its connection had sent.
    /// Nothing where the registry need not know. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When nothing more can come.
    fn next(&mut self) -> impl Future<Output = Result<Option<Input>, Self::Error>> + Send;

    /// The same of what is no message.
    ///
    /// # Errors
    /// When nothing more can come.
    fn next_beside(&mut self) -> impl Future<Output = Result<Option<Input>, Self::Error>> + Send;

    /// Sends a message. Never waits: a peer that does not read must not hold up the others. One that
    /// was lost because of that is told of as [`Input::Cut`].
    fn send(&mut self, conn: &ConnId, frame: Frame);

    /// Asks for [`Input::Room`] when little waits to be written to a connection, at once if it is so.
    fn await_room(&mut self, conn: &ConnId);

    /// Now, in ms since 1970.
    fn wall_ms(&self) -> u64;
}

/// A question to the loop.
#[derive(Debug)]
pub enum Ask {
    /// Whether it goes round.
    Live(oneshot::Sender<()>),
    /// What it holds.
    Ready(oneshot::Sender<Snapshot>),
    /// The same, for a scrape, which cannot wait as a future.
    Scrape(std::sync::mpsc::Sender<Snapshot>),
}

/// A registry and what it serves.
pub struct Loop<S> {
    registry: Registry,
    started: Instant,
    sockets: S,
    asked: UnboundedReceiver<Ask>,
}

enum Next<E> {
    Input(Input),
    Ask(Ask),
    Nothing,
    Failed(E),
}

impl<S: Sockets> Loop<S> {
    /// A server that knows nobody yet. Who asks must keep a sender of `asked` for as long as it runs.
    pub fn new(sockets: S, config: Config, asked: UnboundedReceiver<Ask>) -> Self {
        let now = Now {
            mono: Duration::ZERO,
            wall_ms: sockets.wall_ms(),
        };
        Self {
            registry: Registry::new(config, now),
            started: Instant::now(),
            sockets,
            asked,
        }
    }

    /// Serves until another server has taken over: the reason, for people.
    ///
    /// # Errors
    /// When the connections cannot serve any more.
    pub async fn run(&mut self) -> Result<String, S::Error> {
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
            if let Some(reason) = self.handle(input) {
                return Ok(reason);
            }
        }
    }

    async fn next(&mut self) -> Next<S::Error> {
        let wake = self.registry.next_wake().map(|at| self.started + at);
        tokio::select! {
            biased;
            came = self.sockets.next() => came.into(),
            ask = self.asked.recv() => asked(ask),
            // Last: no message waits then.
            () = sleep_until(wake) => Next::Input(Input::Wake),
        }
    }

    /// What is there beside messages, without waiting.
    async fn next_aside(&mut self) -> Next<S::Error> {
        tokio::select! {
            biased;
            came = self.sockets.next_beside() => came.into(),
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
    fn handle(&mut self, input: Input) -> Option<String> {
        let now = Now {
            mono: self.started.elapsed(),
            wall_ms: self.sockets.wall_ms(),
        };
        let mut end = None;
        for effect in self.registry.handle(now, input) {
            match effect {
                Effect::Send { conn, frame } => self.sockets.send(&conn, frame),
                Effect::AwaitRoom { conn } => self.sockets.await_room(&conn),
                Effect::Note { text } => tracing::info!("{text}"),
                Effect::Exit { reason } => end = Some(reason),
            }
        }
        end
    }
}

impl<E> From<Result<Option<Input>, E>> for Next<E> {
    fn from(came: Result<Option<Input>, E>) -> Self {
        match came {
            Ok(Some(input)) => Self::Input(input),
            Ok(None) => Self::Nothing,
            Err(error) => Self::Failed(error),
        }
    }
}

fn asked<E>(ask: Option<Ask>) -> Next<E> {
    ask.map_or(Next::Nothing, Next::Ask)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

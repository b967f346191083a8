//! A TCP relay between two programs: a way of some length, that can be stalled, cut and mended. For
//! what breaks networks on purpose, `huly bench faults` and tests; no program's traffic goes through.

mod cable;
mod pass;
#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

pub use self::cable::{Cable, Flow};
use self::pass::{Way, pass};

/// How long connecting to the program may take.
const CONNECT: Duration = Duration::from_secs(2);

/// What goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    cable: Cable,
    /// How often all connections were cut.
    cuts: u64,
}

/// Listens on a port of its own of the loopback interface, and carries each connection to a program,
/// as far as the cable lets. Dropped, it closes all connections.
#[derive(Debug)]
pub struct Relay {
    address: String,
    state: watch::Sender<State>,
    task: AbortHandle,
}

impl Relay {
    /// A whole cable of no length to a program that listens at `target`, `host:port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn before(target: &str) -> io::Result<Self> {
        Self::far(target, Duration::ZERO).await
    }

    /// The same, each direction of which takes `latency`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn far(target: &str, latency: Duration) -> io::Result<Self> {
        let target: Arc<str> = target.into();
        Self::to(latency, move || {
            let target = target.clone();
            async move { TcpStream::connect(&*target).await }
        })
        .await
    }

    /// The same, to what `connect` connects with: each connection anew. One that it cannot make, or
    /// not within 2 s, is closed.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to<C, E>(
        latency: Duration,
        connect: impl Fn() -> C + Clone + Send + 'static,
    ) -> io::Result<Self>
    where
        C: Future<Output = Result<TcpStream, E>> + Send + 'static,
        E: Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (state, seen) = watch::channel(State {
            cable: Cable::WHOLE,
            cuts: 0,
        });
        let accepting = async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    incoming = listener.accept() => if let Ok((incoming, _)) = incoming {
                        connections.spawn(carry(incoming, connect.clone(), latency, seen.clone()));
                    },
                    // How a connection ended is for its two ends to say.
                    Some(_) = connections.join_next() => {}
                }
            }
        };
        Ok(Self {
            address,
            state,
            task: tokio::spawn(accepting).abort_handle(),
        })
    }

    /// Where peers find the program, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on the cable is like this. A connection that has lost something is closed when more
    /// would arrive on it: its ends would not understand each other.
    pub fn set(&self, cable: Cable) {
        self.state.send_modify(|state| state.cable = cable);
    }

    /// Closes all connections; new ones are taken.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one connection until one end closes it or the cable does.
async fn carry<C, E>(
    incoming: TcpStream,
    connect: impl Fn() -> C,
    latency: Duration,
    mut state: watch::Receiver<State>,
) where
    C: Future<Output = Result<TcpStream, E>>,
{
    let cuts = state.borrow_and_update().cuts;
    let passing = through(incoming, connect, latency, state.clone());
    tokio::select! {
        _ = passing => {}
        _ = state.wait_for(|state| state.cable.refused || state.cuts != cuts) => {}
    }
}

async fn through<C, E>(
    incoming: TcpStream,
    connect: impl Fn() -> C,
    latency: Duration,
    mut state: watch::Receiver<State>,
) -> io::Result<()>
where
    C: Future<Output = Result<TcpStream, E>>,
{
    // Nor does a connection come about before.
    let moves = |state: &State| ![state.cable.up, state.cable.down].contains(&Flow::Stalled);
    if state.wait_for(moves).await.is_err() {
        return Ok(());
    }
    let Ok(Ok(outgoing)) = timeout(CONNECT, connect()).await else {
        return Ok(());
    };
    for stream in [&incoming, &outgoing] {
        stream.set_nodelay(true)?;
    }
    let (from_peer, to_peer) = incoming.into_split();
    let (from_program, to_program) = outgoing.into_split();
    let up = Way {
        latency,
        state,
        flow: |state| state.cable.up,
    };
    let down = Way {
        flow: |state| state.cable.down,
        ..up.clone()
    };
    // Either end's end is the end of both.
    tokio::select! {
        ended = pass(from_peer, to_program, up) => ended,
        ended = pass(from_program, to_peer, down) => ended,
    }
}

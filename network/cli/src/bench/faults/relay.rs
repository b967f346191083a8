//! A TCP relay between two programs: a way of some length, that can be cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// How long connecting to the other side may take.
const CONNECT: Duration = Duration::from_secs(2);
/// Pieces that may be on their way in one direction of a connection.
const ON_THEIR_WAY: usize = 1_024;

/// What goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Connections of other numbers have been cut.
    number: u64,
    /// Nothing: what is sent waits, as on a network that drops packets.
    stalled: bool,
}

/// Passes on what comes to a port of the loopback interface. Dropped, it closes all connections.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: AbortHandle,
}

impl Relay {
    /// Listens on a free port for connections to `target`, each direction of which takes so long.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn start(target: SocketAddr, latency: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("there is no free port for a relay")?;
        let address = listener.local_addr()?;
        let (state, seen) = watch::channel(State {
            number: 0,
            stalled: false,
        });
        let way = Way {
            target,
            latency,
            state: seen,
        };
        let task = tokio::spawn(accept(listener, way)).abort_handle();
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections; new ones are taken.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.number += 1);
    }

    /// From now on nothing goes through, and nobody is told.
    pub(crate) fn stall(&self) {
        self.state.send_modify(|state| state.stalled = true);
    }

    /// Everything goes through again, what was sent meanwhile first.
    pub(crate) fn heal(&self) {
        self.state.send_modify(|state| state.stalled = false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where it leads, and how.
#[derive(Debug, Clone)]
struct Way {
    target: SocketAddr,
    latency: Duration,
    state: watch::Receiver<State>,
}

async fn accept(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => if let Ok((incoming, _)) = incoming {
                connections.spawn(connection(incoming, way.clone()));
            },
            // How a connection ended is for its two ends to say.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(incoming: TcpStream, way: Way) -> Result<()> {
    let mut cut = way.state.clone();
    let number = cut.borrow_and_update().number;
    let passing = async {
        passable(&mut way.state.clone()).await?;
        let outgoing = timeout(CONNECT, TcpStream::connect(way.target)).await??;
        incoming.set_nodelay(true)?;
        outgoing.set_nodelay(true)?;
        let (from, to) = (incoming.into_split(), outgoing.into_split());
        // Either side's end is the end of both.
        tokio::select! {
            passed = pass(from.0, to.1, &way) => passed,
            passed = pass(to.0, from.1, &way) => passed,
        }
    };
    tokio::select! {
        passed = passing => passed,
        _ = cut.wait_for(|state| state.number != number) => Ok(()),
    }
}

/// What has been read is lost when the connection is cut on the way.
async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, way: &Way) -> Result<()> {
    let (sender, pieces) = mpsc::channel(ON_THEIR_WAY);
    let reading = read(from, sender, way.latency);
    let writing = write(to, pieces, way.state.clone());
    tokio::try_join!(reading, writing)?;
    Ok(())
}

type Piece = (Instant, Vec<u8>);

async fn read(mut from: OwnedReadHalf, to: mpsc::Sender<Piece>, latency: Duration) -> Result<()> {
    loop {
        let mut piece = Vec::with_capacity(16 << 10);
        let read = from.read_buf(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        to.send((Instant::now() + latency, piece)).await?;
    }
}

async fn write(
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::Receiver<Piece>,
    mut state: watch::Receiver<State>,
) -> Result<()> {
    while let Some((at, piece)) = pieces.recv().await {
        sleep_until(at).await;
        passable(&mut state).await?;
        to.write_all(&piece).await?;
    }
    // The end, too, gets through no earlier.
    passable(&mut state).await
}

async fn passable(state: &mut watch::Receiver<State>) -> Result<()> {
    state.wait_for(|state| !state.stalled).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(20);

    /// A relay to a listener that says back what it hears.
    async fn echo() -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut incoming, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = incoming.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Relay::start(target, LATENCY).await.unwrap()
    }

    async fn say(connection: &mut TcpStream, text: &str) -> std::io::Result<String> {
        connection.write_all(text.as_bytes()).await?;
        let mut heard = vec![0; text.len()];
        connection.read_exact(&mut heard).await?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[tokio::test]
    async fn what_is_cut_is_closed_and_others_may_come() {
        let relay = echo().await;
        let mut first = TcpStream::connect(relay.address()).await.unwrap();
        let began = Instant::now();
        assert_eq!(say(&mut first, "hello").await.unwrap(), "hello");
        assert!(began.elapsed() >= 2 * LATENCY, "{:?}", began.elapsed());
        relay.cut();
        assert_eq!(
            first.read(&mut [0; 8]).await.unwrap_or(0),
            0,
            "it is closed"
        );
        let mut second = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(say(&mut second, "again").await.unwrap(), "again");
    }

    #[tokio::test]
    async fn what_is_stalled_comes_later() {
        let relay = echo().await;
        let mut connection = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(say(&mut connection, "hello").await.unwrap(), "hello");
        relay.stall();
        let mut saying = std::pin::pin!(say(&mut connection, "later"));
        let early = timeout(Duration::from_millis(200), &mut saying).await;
        assert!(early.is_err(), "{early:?}");
        relay.heal();
        assert_eq!(saying.await.unwrap(), "later");
    }
}

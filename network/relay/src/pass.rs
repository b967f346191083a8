//! One direction of a connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::State;
use crate::cable::Flow;

/// Pieces that may be on a way of some length.
const ON_THEIR_WAY: usize = 1_024;
/// Bytes of a piece.
const PIECE: usize = 16 << 10;

/// When it arrives, and what.
type Piece = (Instant, Vec<u8>);

/// How a direction is.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) latency: Duration,
    pub(crate) state: watch::Receiver<State>,
    pub(crate) flow: fn(&State) -> Flow,
}

impl Way {
    /// Waits until it is as asked.
    async fn until(&mut self, is: impl Fn(Flow) -> bool) -> io::Result<Flow> {
        let flow = self.flow;
        let state = self.state.wait_for(|state| is(flow(state))).await;
        let state = state.map_err(|_| io::ErrorKind::NotConnected)?;
        Ok(flow(&state))
    }
}

/// Passes on what comes until one of the two ends, or something was lost and more would arrive. What
/// has been read is lost when the connection is cut on the way.
pub(crate) async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, way: Way) -> io::Result<()> {
    let room = if way.latency.is_zero() {
        1
    } else {
        ON_THEIR_WAY
    };
    let (sender, pieces) = mpsc::channel(room);
    let latency = way.latency;
    let reading = async {
        read(from, sender, latency).await;
        // Its end arrives after what was sent before.
        std::future::pending().await
    };
    tokio::select! {
        written = write(to, pieces, way) => written,
        never = reading => never,
    }
}

/// Reads until the end, or an error, which is one too.
async fn read(mut from: OwnedReadHalf, to: mpsc::Sender<Piece>, latency: Duration) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match from.read_buf(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if to.send((Instant::now() + latency, piece)).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn write(
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::Receiver<Piece>,
    mut way: Way,
) -> io::Result<()> {
    let mut lost = false;
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            // The rest would arrive without what was lost.
            open = way.until(|flow| lost && flow == Flow::Open) => return open.map(drop),
        };
        if let Some((at, _)) = &piece {
            sleep_until(*at).await;
        }
        let now = way.until(|flow| flow != Flow::Stalled).await?;
        match (piece, now) {
            // While the cable is cut, its other end is not told either.
            (None, Flow::Lost) => return way.until(|flow| flow == Flow::Open).await.map(drop),
            (None, _) => return Ok(()),
            (Some(_), Flow::Lost) => lost = true,
            (Some(_), _) if lost => return Ok(()),
            (Some((_, piece)), _) => to.write_all(&piece).await?,
        }
    }
}

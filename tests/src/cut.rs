//! A cable between programs that a test can cut.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It arrives.
    Open,
    /// It waits.
    Stalled,
    /// It vanishes, and nobody is told: as on a cut cable.
    Lost,
}

/// How the cable is, for what peers send to the program and for what it sends back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cable {
    /// From the peers to the program.
    pub up: Flow,
    /// From the program to the peers.
    pub down: Flow,
    /// Whether connections are closed at once, those that are there and new ones.
    pub refused: bool,
}

impl Cable {
    /// Whole.
    pub const WHOLE: Self = Self {
        up: Flow::Open,
        down: Flow::Open,
        refused: false,
    };

    /// Nothing arrives, and nobody is told.
    pub const CUT: Self = Self {
        up: Flow::Lost,
        down: Flow::Lost,
        refused: false,
    };

    /// Everything waits.
    pub const STALLED: Self = Self {
        up: Flow::Stalled,
        down: Flow::Stalled,
        refused: false,
    };

    /// Whoever comes is turned away.
    pub const REFUSED: Self = Self {
        refused: true,
        ..Self::WHOLE
    };
}

/// Listens on a port of its own and carries each connection to a program, as far as the cable lets.
/// Dropped, it closes all connections.
#[derive(Debug)]
pub struct Cut {
    address: String,
    cable: watch::Sender<Cable>,
    task: JoinHandle<()>,
}

impl Cut {
    /// A whole cable to a program that listens at `target`, `host:port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn before(target: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (cable, state) = watch::channel(Cable::WHOLE);
        let task = tokio::spawn(accept(listener, target.to_owned(), state));
        Ok(Self {
            address,
            cable,
            task,
        })
    }

    /// Where peers find the program, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on the cable is like this. A connection that has lost something is closed when more
    /// would arrive on it: its ends would not understand each other.
    pub fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, cable: watch::Receiver<Cable>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => if let Ok((incoming, _)) = incoming {
                connections.spawn(carry(incoming, target.clone(), cable.clone()));
            },
            // How a connection ended is for its two ends to say.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until one end closes it or the cable does.
async fn carry(
    incoming: TcpStream,
    target: String,
    mut cable: watch::Receiver<Cable>,
) -> Result<()> {
    if cable.borrow().refused {
        return Ok(());
    }
    let outgoing = TcpStream::connect(target).await?;
    for stream in [&incoming, &outgoing] {
        stream.set_nodelay(true)?;
    }
    let (from_peer, to_peer) = incoming.into_split();
    let (from_program, to_program) = outgoing.into_split();
    let up = carry_way(from_peer, to_program, cable.clone(), |cable| cable.up);
    let down = carry_way(from_program, to_peer, cable.clone(), |cable| cable.down);
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
        _ = cable.wait_for(|cable| cable.refused) => Ok(()),
    }
}

async fn carry_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cable: watch::Receiver<Cable>,
    flow: fn(&Cable) -> Flow,
) -> Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    let mut lost = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read?,
            // The rest would arrive without what was lost.
            _ = cable.wait_for(|cable| lost && flow(cable) == Flow::Open) => return Ok(()),
        };
        let now = flow(&*cable.wait_for(|cable| flow(cable) != Flow::Stalled).await?);
        match (read, now) {
            // While the cable is cut, its other end is not told either.
            (0, Flow::Lost) => {
                cable.wait_for(|cable| flow(cable) == Flow::Open).await?;
                return Ok(());
            }
            (0, _) => return Ok(()),
            (_, Flow::Lost) => lost = true,
            _ if lost => return Ok(()),
            (read, _) => to.write_all(&bytes[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(100);
    const SOON: Duration = Duration::from_secs(10);

    async fn pair() -> Result<(Cut, TcpStream, TcpStream, TcpListener)> {
        let program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let cut = Cut::before(&program.local_addr()?.to_string()).await?;
        let peer = TcpStream::connect(cut.address()).await?;
        let (there, _) = program.accept().await?;
        Ok((cut, peer, there, program))
    }

    async fn arrives(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
        from.write_all(b"hello").await?;
        let mut read = [0; 5];
        timeout(SOON, to.read_exact(&mut read)).await??;
        assert_eq!(&read, b"hello");
        Ok(())
    }

    #[tokio::test]
    async fn what_is_stalled_arrives_later_and_the_other_way_is_open() -> Result<()> {
        let (cut, mut peer, mut there, _program) = pair().await?;
        arrives(&mut peer, &mut there).await?;
        cut.set(Cable {
            up: Flow::Stalled,
            ..Cable::WHOLE
        });
        arrives(&mut there, &mut peer).await?;
        peer.write_all(b"later").await?;
        let mut read = [0; 5];
        assert!(timeout(MOMENT, there.read_exact(&mut read)).await.is_err());
        cut.set(Cable::WHOLE);
        timeout(SOON, there.read_exact(&mut read)).await??;
        assert_eq!(&read, b"later");
        Ok(())
    }

    #[tokio::test]
    async fn a_connection_that_lost_something_ends_when_the_cable_is_mended() -> Result<()> {
        let (cut, mut peer, mut there, program) = pair().await?;
        arrives(&mut peer, &mut there).await?;
        cut.set(Cable::CUT);
        peer.write_all(b"never").await?;
        let mut read = [0; 5];
        assert!(timeout(MOMENT, there.read_exact(&mut read)).await.is_err());
        cut.set(Cable::WHOLE);
        let ended = timeout(SOON, peer.read(&mut read)).await?;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        let mut peer = TcpStream::connect(cut.address()).await?;
        let (mut there, _) = timeout(SOON, program.accept()).await??;
        arrives(&mut peer, &mut there).await
    }

    #[tokio::test]
    async fn who_is_refused_is_told_at_once() -> Result<()> {
        let (cut, mut peer, _there, _program) = pair().await?;
        cut.set(Cable::REFUSED);
        let mut read = [0; 1];
        for _ in 0..2 {
            let ended = timeout(SOON, peer.read(&mut read)).await?;
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
            peer = TcpStream::connect(cut.address()).await?;
        }
        Ok(())
    }
}

//! A wire that a test can cut: what goes through it is held up, and comes when it is mended.

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Hands connections on to an address. Dropped, it takes no new ones.
#[derive(Debug)]
pub struct Link {
    /// Where it listens, `host:port`.
    pub address: String,
    cut: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Link {
    /// One to that address.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(address: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (cut, _) = watch::channel(false);
        let cut = Arc::new(cut);
        let (target, seen) = (address.to_owned(), cut.clone());
        Ok(Self {
            address: listener.local_addr()?.to_string(),
            cut,
            task: tokio::spawn(async move {
                while let Ok((near, _)) = listener.accept().await {
                    let (target, cut) = (target.clone(), seen.subscribe());
                    tokio::spawn(hand_on(near, target, cut));
                }
            }),
        })
    }

    /// Nothing goes through any more; connections stay open.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// What was held up goes on.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(near: TcpStream, target: String, mut cut: watch::Receiver<bool>) {
    if cut.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::spawn(one_way(from_near, to_far, cut.clone()));
    tokio::spawn(one_way(from_far, to_near, cut));
}

/// Until one of both is closed.
async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(count) = from.read(&mut buffer).await else {
            return;
        };
        let mended = cut.wait_for(|cut| !cut).await.is_ok();
        if count == 0 || !mended || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

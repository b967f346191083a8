//! What the zeromq crate has of a peer's messages that it has not written yet.
//!
//! The crate tells nobody. But it drops a message once it is in the buffer that goes to the socket,
//! so the first frame of each is owned by something that counts its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

/// Nobody waits for room.
const NOBODY: isize = -1;

#[derive(Debug)]
pub(crate) struct Account {
    conn: Bytes,
    /// Bytes in the crate.
    inside: AtomicUsize,
    /// The router is told once no more than that many bytes are inside.
    wake_at: AtomicIsize,
    room: UnboundedSender<Bytes>,
    /// Bytes that wait for all peers.
    all: Arc<AtomicUsize>,
}

impl Account {
    pub(crate) fn new(conn: Bytes, room: UnboundedSender<Bytes>, all: Arc<AtomicUsize>) -> Self {
        Self {
            conn,
            inside: AtomicUsize::new(0),
            wake_at: AtomicIsize::new(NOBODY),
            room,
            all,
        }
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(SeqCst)
    }

    /// Bytes that wait for all peers.
    pub(crate) fn all(&self) -> &AtomicUsize {
        &self.all
    }

    /// The router is told, once, when no more than that many bytes are inside: at once if it is so.
    pub(crate) fn tell_of_room(&self, at: usize) {
        self.wake_at
            .store(isize::try_from(at).unwrap_or(isize::MAX), SeqCst);
        self.wake(self.inside());
    }

    fn wake(&self, inside: usize) {
        let at = self.wake_at.load(SeqCst);
        if usize::try_from(at).is_ok_and(|at| inside <= at)
            && self.wake_at.swap(NOBODY, SeqCst) != NOBODY
        {
            // A router that has ended waits for nothing.
            let _ = self.room.send(self.conn.clone());
        }
    }

    fn left(&self, bytes: usize) {
        self.all.fetch_sub(bytes, SeqCst);
        let before = self.inside.fetch_sub(bytes, SeqCst);
        self.wake(before.saturating_sub(bytes));
    }
}

/// A frame whose message is counted until the crate drops it.
pub(crate) fn counted(frame: Bytes, account: &Arc<Account>, bytes: usize) -> Bytes {
    account.inside.fetch_add(bytes, SeqCst);
    account.all.fetch_add(bytes, SeqCst);
    Bytes::from_owner(Counted {
        frame,
        account: account.clone(),
        bytes,
    })
}

struct Counted {
    frame: Bytes,
    account: Arc<Account>,
    bytes: usize,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.account.left(self.bytes);
    }
}

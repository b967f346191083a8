//! What waits for one peer: a little in the zeromq crate, the rest here, where it can be dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use huly_protocol::Frame;

use crate::Limits;
use crate::account::Account;

/// Bytes in the crate from which on messages wait here. Far from the 100,000 messages at which it
/// blocks: the least message counts for [`PER_MESSAGE`].
const WINDOW: usize = 1 << 20;

/// What a message takes beside its payload, in bytes.
const PER_MESSAGE: usize = 256;

/// Bytes up to which little waits for a peer.
const LITTLE: usize = 256 << 10;

/// What may wait for a peer however much waits for the others, in bytes.
const FAIR: usize = 1 << 20;

/// What a message counts for, in bytes.
pub(crate) fn cost(frame: &Frame) -> usize {
    PER_MESSAGE + frame.id.len() + frame.payload.len()
}

#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) account: Arc<Account>,
    waiting: VecDeque<Frame>,
    /// Bytes of what waits here.
    bytes: usize,
    /// It was cut: what is for it is dropped until the crate has written what it still has.
    cut: bool,
    slow: bool,
    /// Somebody is to be told when little waits.
    awaited: bool,
    /// When the crate last had room for what waits here.
    moved: Instant,
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it to the crate.
    Send(Frame),
    /// It waits here.
    Waits,
    /// Its peer was cut before.
    Dropped,
    /// Its peer is cut now.
    Cut,
}

impl Outbound {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account: Arc::new(account),
            waiting: VecDeque::new(),
            bytes: 0,
            cut: false,
            slow: false,
            awaited: false,
            moved: Instant::now(),
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether nothing is known of it that must be kept.
    pub(crate) fn is_idle(&self) -> bool {
        !self.cut && !self.slow && self.total() == 0
    }

    /// Bytes that wait for it.
    fn total(&self) -> usize {
        self.bytes + self.account.inside()
    }

    pub(crate) fn take(&mut self, frame: Frame, limits: &Limits) -> Verdict {
        if self.cut {
            return Verdict::Dropped;
        }
        let total = self.total();
        let crowded = self.account.all().load(SeqCst) >= limits.all_bytes && total >= FAIR;
        if total >= limits.peer_bytes || crowded {
            self.cut();
            return Verdict::Cut;
        }
        if self.waiting.is_empty() && self.account.inside() < WINDOW {
            return Verdict::Send(frame);
        }
        if self.waiting.is_empty() {
            self.account.tell_of_room(WINDOW / 2);
            self.moved = Instant::now();
        }
        let bytes = cost(&frame);
        self.bytes += bytes;
        self.account.all().fetch_add(bytes, SeqCst);
        self.waiting.push_back(frame);
        Verdict::Waits
    }

    /// The next that the crate has room for; it is to be handed over at once.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        if self.waiting.is_empty() {
            return None;
        }
        if self.account.inside() >= WINDOW {
            self.account.tell_of_room(WINDOW / 2);
            return None;
        }
        let frame = self.waiting.pop_front()?;
        self.uncount(cost(&frame));
        Some(frame)
    }

    /// Gives the peer up: what waits is dropped, and what comes, until the crate has written all.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
        self.awaited = false;
        self.waiting = VecDeque::new();
        self.uncount(self.bytes);
        self.account.tell_of_room(0);
    }

    /// The crate has room. One that was cut and has read all there was is as good as new.
    pub(crate) fn mend(&mut self) {
        self.moved = Instant::now();
        if self.cut && self.account.inside() > 0 {
            return self.account.tell_of_room(0);
        }
        self.cut = false;
    }

    /// Says if it has become slow, or is not any more.
    pub(crate) fn slow_changed(&mut self, limits: &Limits) -> Option<bool> {
        let total = self.total();
        let slow = match self.slow {
            true => total > limits.slow_bytes / 2,
            false => total >= limits.slow_bytes,
        };
        let changed = slow != self.slow;
        self.slow = slow;
        changed.then_some(slow)
    }

    /// Somebody is to be told when little waits; not of one that was cut.
    pub(crate) fn await_room(&mut self) {
        self.awaited = !self.cut;
    }

    /// Says, once, that little waits to who awaits that.
    pub(crate) fn has_room(&mut self) -> bool {
        let room = self.awaited && self.total() <= LITTLE;
        if room {
            self.awaited = false;
        } else if self.awaited && self.waiting.is_empty() {
            // Else there is news when the crate has room.
            self.account.tell_of_room(LITTLE);
        }
        room
    }

    /// Of a connection that has ended: whether the kernel gave it up, for its peer took nothing. Half
    /// the deadline: until its own buffer was full, the kernel took more for a peer that took nothing.
    pub(crate) fn is_given_up(&self, limits: &Limits) -> bool {
        !self.waiting.is_empty() && self.moved.elapsed() >= limits.write_timeout / 2
    }

    fn uncount(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.account.all().fetch_sub(bytes, SeqCst);
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.uncount(self.bytes);
    }
}

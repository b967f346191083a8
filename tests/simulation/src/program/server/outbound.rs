//! What waits for peers that read slowly: of that the shipped ROUTER makes what is modelled here, by
//! bounds so small that little load reaches them.

use std::collections::{BTreeMap, VecDeque};

use huly_protocol::Frame;
use huly_registry::{ConnId, Input};

use crate::wire::{WireId, cost};

/// Bytes on a wire from which on messages wait at the server.
const WINDOW: usize = 2_000;
/// Bytes up to which little waits for a peer.
const LITTLE: usize = 1_500;
/// Bytes from which on a peer is told of as slow.
const SLOW: usize = 4_000;
/// Bytes that may wait for a peer; one message more is always taken.
const MOST: usize = 12_000;

#[derive(Debug, Default)]
struct Peer {
    waiting: VecDeque<Frame>,
    /// Bytes of these.
    bytes: usize,
    /// Bytes on the wire that the peer has not taken.
    on_wire: usize,
    /// It was cut: what is for it is dropped until it has taken all that is on the wire.
    cut: bool,
    slow: bool,
    /// The server was told that it is slow.
    told: bool,
    /// It is awaited that little waits for it.
    awaited: bool,
}

impl Peer {
    fn total(&self) -> usize {
        self.bytes + self.on_wire
    }

    fn cut(&mut self) {
        self.cut = true;
        self.awaited = false;
        self.waiting.clear();
        self.bytes = 0;
    }
}

/// All peers for which something waits, and what the server has yet to hear of them.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    peers: BTreeMap<WireId, Peer>,
    news: VecDeque<Input>,
}

impl Outbound {
    /// A message for a peer: returned if it goes out now.
    pub(super) fn send(&mut self, wire: WireId, frame: Frame) -> Option<Frame> {
        let peer = self.peers.entry(wire).or_default();
        if peer.cut {
            return None;
        }
        let conn = wire.name();
        if peer.total() >= MOST {
            peer.cut();
            self.news.push_back(Input::Cut { conn });
            return None;
        }
        let bytes = cost(&frame);
        if peer.waiting.is_empty() && peer.on_wire < WINDOW {
            peer.on_wire += bytes;
            return Some(frame);
        }
        peer.bytes += bytes;
        peer.waiting.push_back(frame);
        self.look_at(wire);
        None
    }

    /// A peer has taken so much. Returns what goes out now.
    pub(super) fn taken(&mut self, wire: WireId, bytes: usize) -> Vec<Frame> {
        let mut out = Vec::new();
        let Some(peer) = self.peers.get_mut(&wire) else {
            return out;
        };
        peer.on_wire = peer.on_wire.saturating_sub(bytes);
        peer.cut &= peer.on_wire > 0;
        while peer.on_wire < WINDOW
            && let Some(frame) = peer.waiting.pop_front()
        {
            peer.bytes -= cost(&frame);
            peer.on_wire += cost(&frame);
            out.push(frame);
        }
        self.look_at(wire);
        out
    }

    /// The server is to be told when little waits for a peer.
    pub(super) fn await_room(&mut self, wire: WireId) {
        let peer = self.peers.entry(wire).or_default();
        peer.awaited = !peer.cut;
        self.look_at(wire);
    }

    pub(super) fn is_over(&mut self, wire: WireId) {
        self.peers.remove(&wire);
    }

    pub(super) fn is_cut(&self, wire: WireId) -> bool {
        self.peers.get(&wire).is_some_and(|peer| peer.cut)
    }

    /// Whether the server knows that it reads slowly.
    pub(super) fn is_told(&self, wire: WireId) -> bool {
        self.peers.get(&wire).is_some_and(|peer| peer.told)
    }

    pub(super) fn note_told(&mut self, wire: WireId, slow: bool) {
        if let Some(peer) = self.peers.get_mut(&wire) {
            peer.told = slow;
        }
    }

    /// Whether so little waits for it that it may be told the next chunk of much.
    pub(super) fn has_room(&self, wire: WireId) -> bool {
        let peer = self.peers.get(&wire);
        peer.is_none_or(|peer| peer.total() <= LITTLE)
    }

    /// What the server is told of as if little waited.
    pub(super) fn say_room(&mut self, conn: ConnId) {
        self.news.push_back(Input::Room { conn });
    }

    pub(super) fn next_news(&mut self) -> Option<Input> {
        self.news.pop_front()
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    fn look_at(&mut self, wire: WireId) {
        let Some(peer) = self.peers.get_mut(&wire) else {
            return;
        };
        let total = peer.total();
        let slow = match peer.slow {
            true => total > SLOW / 2,
            false => total >= SLOW,
        };
        if std::mem::replace(&mut peer.slow, slow) != slow {
            let conn = wire.name();
            self.news.push_back(Input::Slow { conn, slow });
        }
        if peer.awaited && total <= LITTLE {
            peer.awaited = false;
            let conn = wire.name();
            self.news.push_back(Input::Room { conn });
        }
    }
}

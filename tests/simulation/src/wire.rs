//! Connections: two queues of messages, each in order, and what may become of them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::Frame;

use crate::world::ProcessId;

/// What a message takes beside its texts, in bytes.
const PER_MESSAGE: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WireId(pub(crate) u64);

impl WireId {
    /// What the ROUTER that listens calls it.
    pub(crate) fn name(self) -> Bytes {
        Bytes::from(self.0.to_string())
    }

    pub(crate) fn of_name(name: &[u8]) -> Option<Self> {
        std::str::from_utf8(name).ok()?.parse().ok().map(Self)
    }
}

/// What a message counts for on a wire, in bytes.
pub(crate) fn cost(frame: &Frame) -> usize {
    PER_MESSAGE + frame.id.len() + frame.payload.len()
}

/// An end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Dialer, Self::Listener];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Listener,
            Self::Listener => Self::Dialer,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Item {
    Frame(Frame),
    /// The other side closed it.
    End,
}

/// What is on its way to one end.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) items: VecDeque<Item>,
    /// When the last of them arrives.
    pub(crate) last: Duration,
    /// How many had arrived and were held up, as the way is blocked.
    pub(crate) stuck: usize,
    /// This end has closed it, or knows that it is closed.
    pub(crate) closed: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    ends: [ProcessId; 2],
    lanes: [Lane; 2],
    /// The port, where the listener has several.
    pub(crate) port: Option<u16>,
    /// Nothing goes through any more; each end notices in its own time, or never.
    pub(crate) cut: bool,
}

impl Wire {
    pub(crate) fn new(dialer: ProcessId, listener: ProcessId, port: Option<u16>) -> Self {
        Self {
            ends: [dialer, listener],
            lanes: Default::default(),
            port,
            cut: false,
        }
    }

    pub(crate) fn end(&self, side: Side) -> ProcessId {
        self.ends[side as usize]
    }

    pub(crate) fn side_of(&self, process: ProcessId) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| self.end(*side) == process)
    }

    /// What is on its way to that end.
    pub(crate) fn lane(&mut self, to: Side) -> &mut Lane {
        &mut self.lanes[to as usize]
    }

    /// Whether that end was closed.
    pub(crate) fn is_closed(&self, side: Side) -> bool {
        self.lanes[side as usize].closed
    }

    /// Whether nobody has it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.lanes.iter().all(|lane| lane.closed)
    }
}

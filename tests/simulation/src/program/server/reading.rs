//! What is sent to peers that read slowly.

use huly_protocol::{Frame, Op, Request, method};
use huly_registry::{ConnId, Input};

use super::Server;
use super::outbound::Outbound;
use crate::ledger::Seen;
use crate::program::Context;
use crate::sabotage::Sabotage;
use crate::wire::WireId;

/// Something about a peer that reads slowly.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// The server hears that one does.
    Slow,
    /// The server hands it a client's request.
    Handed { wire: WireId },
    /// The server has told it a chunk of what there is, as it may or may not, and has more.
    Chunk { wire: WireId, may: bool },
}

impl Server {
    pub(super) fn is_cut(&self, wire: WireId) -> bool {
        self.outbound
            .as_ref()
            .is_some_and(|outbound| outbound.is_cut(wire))
    }

    pub(super) fn is_over(&mut self, wire: WireId) {
        if let Some(outbound) = &mut self.outbound {
            outbound.is_over(wire);
        }
    }

    /// A peer has read so much.
    pub(super) fn was_read(&mut self, cx: &mut Context, wire: WireId, bytes: usize) {
        let outbound = self.outbound.as_mut();
        let frames = outbound.map(|outbound| outbound.taken(wire, bytes));
        for frame in frames.into_iter().flatten() {
            cx.send(wire, frame);
        }
    }

    /// The server hears what became of what it has sent.
    pub(super) fn hear_of_peers(&mut self, cx: &mut Context) {
        while let Some(input) = self.outbound.as_mut().and_then(Outbound::next_news) {
            if let Input::Cut { conn } = &input {
                let wire = String::from_utf8_lossy(conn);
                cx.tell(format!("cuts wire {wire}: too much waits for it"));
            }
            if let (Input::Slow { conn, slow }, Some(outbound)) = (&input, &mut self.outbound)
                && let Some(wire) = WireId::of_name(conn)
            {
                outbound.note_told(wire, *slow);
                cx.tell(format!("takes wire {} for slow: {slow}", wire.0));
                if *slow {
                    cx.saw(Seen::Reading(Reading::Slow));
                }
                if cx.does(Sabotage::HideSlow) {
                    continue;
                }
            }
            self.input(cx, input);
        }
    }

    /// A message goes to a peer, at once or once it has room.
    pub(super) fn send(&mut self, cx: &mut Context, wire: WireId, frame: Frame) {
        let Some(outbound) = &mut self.outbound else {
            return cx.send(wire, frame);
        };
        if outbound.is_told(wire) && carries_request(&frame) {
            cx.saw(Seen::Reading(Reading::Handed { wire }));
        }
        if let Some(frame) = outbound.send(wire, frame) {
            cx.send(wire, frame);
        }
    }

    /// It is awaited that little waits for a peer that was told something of much; `may` is the peer
    /// that may be told of it.
    pub(super) fn await_room(&mut self, cx: &mut Context, conn: ConnId, may: Option<&ConnId>) {
        let (Some(outbound), Some(wire)) = (&mut self.outbound, WireId::of_name(&conn)) else {
            self.roomy.insert(conn, cx.now + super::WRITING);
            return;
        };
        let may = may == Some(&conn);
        cx.saw(Seen::Reading(Reading::Chunk { wire, may }));
        match cx.does(Sabotage::EarlyRoom) {
            true => outbound.say_room(conn),
            false => outbound.await_room(wire),
        }
    }

    /// Who may be told something of much: who says something, as it may subscribe, and a peer that is
    /// said to have room and has some.
    pub(super) fn may_be_told(&self, input: &Input) -> Option<ConnId> {
        let outbound = self.outbound.as_ref()?;
        let has_room = |conn: &ConnId| WireId::of_name(conn).is_some_and(|w| outbound.has_room(w));
        match input {
            Input::Message { conn, .. } => Some(conn.clone()),
            Input::Room { conn } => Some(conn.clone()).filter(has_room),
            _ => None,
        }
    }
}

fn carries_request(frame: &Frame) -> bool {
    let is_request = || Request::read(&frame.payload);
    frame.op == Op::Request && is_request().is_ok_and(|r| r.method == method::CONTAINER_REQUEST)
}

//! What programs saw that it takes the world to know more of.

use super::{ProcessId, World};
use crate::ledger::{News, Seen};

impl World {
    pub(super) fn saw(&mut self, id: ProcessId, seen: Seen) {
        match seen {
            Seen::Registered { wire } => {
                if let Some(server) = wire.and_then(|wire| self.far_end(wire)) {
                    let registered = &mut self.ledger.registered;
                    registered.entry((id, server)).or_insert(self.now);
                }
            }
            Seen::SaidKinds { wire } => {
                if let Some(server) = wire.and_then(|wire| self.far_end(wire)) {
                    let said = &mut self.ledger.kinds_said;
                    said.entry(server).or_insert(self.now);
                }
            }
            Seen::AsksWho { wire } => {
                if let Some(peer) = self.dialer(wire) {
                    let server = id;
                    let asks = News::AsksWho { server, wire, peer };
                    self.ledger.news.push(asks);
                }
            }
            Seen::Durable { wire, seen } => {
                if let Some(server) = wire.and_then(|wire| self.far_end(wire)) {
                    self.ledger.note_durable(id, server, seen);
                }
            }
            seen => self.ledger.note(self.now, id, seen),
        }
    }
}

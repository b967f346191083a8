//! The network: dialing, messages on their way, ends of connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use huly_protocol::Frame;

use super::{Event, ProcessId, World};
use crate::program::{Came, Target};
use crate::sabotage::Sabotage;
use crate::wire::{Item, Side, Wire, WireId, cost};

/// After how long a dialing that nobody answers is given up.
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);

impl World {
    /// How long the next message takes between two places.
    pub(super) fn delay(&mut self, one: ProcessId, other: ProcessId) -> Duration {
        let mut longest = 2;
        for id in [one, other] {
            let slow = self.slow.get(&self.process(id).place);
            longest += slow.copied().unwrap_or_default();
        }
        if self.sabotage == Some(Sabotage::Unseeded) {
            static BEFORE: AtomicU64 = AtomicU64::new(0);
            longest += BEFORE.fetch_add(1, Ordering::Relaxed) % 7;
        }
        self.random.millis(0..longest)
    }

    /// Whether nothing goes between two processes.
    fn is_blocked(&self, one: ProcessId, other: ProcessId) -> bool {
        let place = |id: ProcessId| &self.process(id).place;
        let parted = |id: ProcessId, server: ProcessId| {
            place(server) == "server" && self.parted.contains(place(id))
        };
        let isolated = |id: ProcessId| self.isolated.contains(place(id));
        isolated(one) || isolated(other) || parted(one, other) || parted(other, one)
    }

    /// Who is dialed, and the port, where it is one for clients.
    fn target(&self, process: ProcessId, to: &Target) -> (Option<ProcessId>, Option<u16>) {
        match to {
            Target::Server => (self.server_of(process), None),
            Target::Door(authority) => {
                let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
                (self.at(host), port.parse().ok())
            }
        }
    }

    /// Who listens for clients hears that there is one.
    pub(super) fn knock(&mut self, wire: Option<WireId>) {
        if let Some((id, of)) = wire.and_then(|id| Some((id, self.wires.get(&id)?)))
            && let Some(port) = of.port
        {
            let listener = of.end(Side::Listener);
            self.give(listener, Came::Knocked { wire: id, port });
        }
    }

    /// The server that a process reaches.
    pub(super) fn server_of(&self, id: ProcessId) -> Option<ProcessId> {
        let routed = self.routes.get(&self.process(id).place).copied();
        let server = routed.or_else(|| self.present.get("server").copied())?;
        self.process(server).program.is_some().then_some(server)
    }

    pub(super) fn dial(&mut self, process: ProcessId, dial: u64, to: &Target) {
        if self.process(process).program.is_none() {
            return;
        }
        let (listener, port) = self.target(process, to);
        let unheard = self.is_blocked(process, listener.unwrap_or(process));
        if unheard {
            let wire = None;
            let failed = Event::Dialed {
                process,
                dial,
                wire,
            };
            return self.plan(self.now + DIAL_TIMEOUT, failed);
        }
        let (delay, wire) = match listener {
            None => (self.delay(process, process), None),
            Some(listener) => {
                self.numbers += 1;
                let wire = WireId(self.numbers);
                self.wires.insert(wire, Wire::new(process, listener, port));
                let delay = self.delay(process, listener) * 2;
                (delay, Some(wire))
            }
        };
        let dialed = Event::Dialed {
            process,
            dial,
            wire,
        };
        self.plan(self.now + delay, dialed);
    }

    /// Whether a wire is there for who dialed.
    pub(super) fn is_open(&self, wire: WireId) -> bool {
        let wire = self.wires.get(&wire);
        wire.is_some_and(|wire| !wire.is_closed(Side::Dialer))
    }

    pub(super) fn send(&mut self, wire: WireId, from: ProcessId, frame: Frame) {
        self.put(wire, from, Item::Frame(frame));
    }

    /// A process closes its end: the other side is told after all that was sent before.
    pub(super) fn close(&mut self, id: WireId, by: ProcessId) {
        self.put(id, by, Item::End);
        self.shut(id, by);
    }

    /// Nothing more is heard at an end.
    fn shut(&mut self, id: WireId, by: ProcessId) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if let Some(side) = wire.side_of(by) {
            wire.lane(side).closed = true;
            wire.lane(side).items.clear();
        }
        if wire.is_over() {
            self.wires.remove(&id);
        }
    }

    fn put(&mut self, id: WireId, from: ProcessId, item: Item) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let Some(side) = wire.side_of(from) else {
            return;
        };
        let to = side.other();
        if wire.cut || wire.is_closed(side) || wire.is_closed(to) {
            return;
        }
        let receiver = wire.end(to);
        let earliest = self.now + self.delay(from, receiver);
        let reading = self.time_to_read(from, receiver, &item);
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let lane = wire.lane(to);
        let at = lane.last.max(earliest) + reading;
        lane.last = at;
        lane.items.push_back(item);
        self.plan(at, Event::Arrive { wire: id, to });
    }

    pub(super) fn arrive(&mut self, id: WireId, to: Side) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let (receiver, sender) = (wire.end(to), wire.end(to.other()));
        let blocked = self.is_blocked(receiver, sender);
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let lane = wire.lane(to);
        if blocked {
            lane.stuck += 1;
            return;
        }
        let Some(item) = lane.items.pop_front() else {
            return; // It was lost.
        };
        let name = &self.processes[receiver.0 as usize].name;
        self.story.mix_time(self.now);
        match item {
            Item::Frame(frame) => {
                self.story.mix(&frame.payload);
                self.story.wire(self.now, name, || {
                    let (op, id, said) = (frame.op, &frame.id, frame.payload_text());
                    format!("hears {op:?} {id} {said}")
                });
                let bytes = cost(&frame);
                self.give(receiver, Came::Frame { wire: id, frame });
                self.note_read(id, sender, bytes);
            }
            Item::End => {
                self.story
                    .wire(self.now, name, || format!("hears the end of wire {}", id.0));
                self.closed(id, receiver);
            }
        }
    }

    /// An end hears that its connection is over.
    fn closed(&mut self, id: WireId, at: ProcessId) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let shut = wire.side_of(at).is_none_or(|side| wire.is_closed(side));
        self.shut(id, at);
        if !shut {
            self.give(at, Came::Closed { wire: id });
        }
    }

    pub(super) fn notice(&mut self, id: WireId, side: Side) {
        if let Some(wire) = self.wires.get(&id) {
            let at = wire.end(side);
            self.closed(id, at);
        }
    }

    /// The process that somebody is connected to.
    pub(crate) fn listener(&self, wire: WireId) -> Option<ProcessId> {
        let wire = self.wires.get(&wire).filter(|wire| !wire.cut)?;
        Some(wire.end(Side::Listener))
    }

    /// Who listened at the other end, whether it is heard still or not.
    pub(super) fn far_end(&self, wire: WireId) -> Option<ProcessId> {
        self.wires.get(&wire).map(|wire| wire.end(Side::Listener))
    }

    /// Who dialed.
    pub(super) fn dialer(&self, wire: WireId) -> Option<ProcessId> {
        self.wires.get(&wire).map(|wire| wire.end(Side::Dialer))
    }

    /// The wires of a process.
    pub(super) fn wires_of(&self, process: ProcessId) -> Vec<WireId> {
        let wires = self.wires.iter();
        wires
            .filter(|(_, wire)| wire.side_of(process).is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Nothing goes through a wire any more, and what was on its way is lost from some point on.
    pub(super) fn cut_wire(&mut self, id: WireId) {
        for side in Side::BOTH {
            let point = self.random.next();
            let Some(wire) = self.wires.get_mut(&id) else {
                return;
            };
            wire.cut = true;
            let items = &mut wire.lane(side).items;
            items.truncate(point as usize % (items.len() + 1));
        }
        for side in Side::BOTH {
            // Some never notice.
            if self.random.percent(75) {
                let at = self.now + self.random.millis(0..3_000);
                self.plan(at, Event::Notice { wire: id, side });
            }
        }
    }

    /// Who has not noticed yet that a connection of his is cut does now: TCP gives up at last.
    pub(super) fn notice_cuts(&mut self) {
        let cut = self.wires.iter().filter(|(_, wire)| wire.cut);
        let cut: Vec<WireId> = cut.map(|(id, _)| *id).collect();
        for wire in cut {
            for side in Side::BOTH {
                self.plan(self.now, Event::Notice { wire, side });
            }
        }
    }

    /// The other ends of a process's wires find out that it is gone, unless its machine is.
    pub(super) fn abandon_wires(&mut self, process: ProcessId, silent: bool) {
        for id in self.wires_of(process) {
            match self.wires.get_mut(&id) {
                Some(wire) if silent => {
                    wire.cut = true;
                    self.shut(id, process);
                }
                _ => self.close(id, process),
            }
        }
    }

    /// What was held up goes on.
    pub(super) fn unblock(&mut self) {
        let stuck: Vec<(WireId, Side, usize)> = self
            .wires
            .iter_mut()
            .flat_map(|(id, wire)| {
                Side::BOTH.map(|side| (*id, side, std::mem::take(&mut wire.lane(side).stuck)))
            })
            .collect();
        for (wire, to, count) in stuck {
            for _ in 0..count {
                // Blocked still, it is held up again.
                self.plan(self.now, Event::Arrive { wire, to });
            }
        }
    }
}

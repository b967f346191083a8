//! Peers that read slowly what the server sends them.

use std::time::Duration;

use super::{Event, ProcessId, World};
use crate::program::Came;
use crate::wire::{Item, Side, WireId, cost};

impl World {
    /// A place takes so many bytes a second, or all at once.
    pub(super) fn set_pace(&mut self, place: &str, pace: Option<u64>) {
        match pace {
            Some(pace) => drop(self.paces.insert(place.to_owned(), pace)),
            None => {
                self.paces.remove(place);
                self.hurry(place);
            }
        }
    }

    /// How long a receiver takes for a message, once it has what came before.
    pub(super) fn time_to_read(&self, from: ProcessId, by: ProcessId, item: &Item) -> Duration {
        let pace = self.paces.get(&self.process(by).place);
        match (pace, item) {
            (Some(pace), Item::Frame(frame)) if self.is_server(from) => {
                Duration::from_millis(cost(frame) as u64 * 1_000 / pace)
            }
            _ => Duration::ZERO,
        }
    }

    /// The server hears how much of what it has sent was read, where it minds.
    pub(super) fn note_read(&mut self, wire: WireId, sender: ProcessId, bytes: usize) {
        if self.scenario.slow_readers && self.is_server(sender) {
            self.give(sender, Came::Taken { wire, bytes });
        }
    }

    fn is_server(&self, id: ProcessId) -> bool {
        self.process(id).place == "server"
    }

    /// All that is on its way to a place from the server arrives now.
    fn hurry(&mut self, place: &str) {
        let Some(process) = self.at(place) else {
            return;
        };
        for wire in self.wires_of(process) {
            let now = self.now;
            let Some(known) = self.wires.get_mut(&wire) else {
                continue;
            };
            let lane = known.lane(Side::Dialer);
            lane.last = now;
            let (to, count) = (Side::Dialer, lane.items.len());
            for _ in lane.stuck..count {
                self.plan(now, Event::Arrive { wire, to });
            }
        }
    }
}

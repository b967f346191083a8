//! When containers were held last.

use super::World;

impl World {
    /// Looks at what is held, once faults have stopped.
    pub(super) fn note_held(&mut self) {
        if self.now < self.scenario.mended {
            return;
        }
        let mut held: Vec<String> = Vec::new();
        for (_, _, program) in self.running() {
            held.extend(program.held());
        }
        // The operator's references stay when it leaves.
        if !self.is_led() {
            let wanted = self.scenario.wanted.iter();
            held.extend(wanted.map(|(uuid, _)| uuid.clone()));
        }
        let unclear = |uuid: &str| {
            let mut programs = self.running().map(|(_, _, program)| program);
            programs.any(|program| program.is_unclear(uuid))
        };
        let named = self.scenario.uuids.iter().map(|(uuid, _)| uuid);
        held.extend(named.filter(|uuid| unclear(uuid)).cloned());
        for uuid in held {
            self.held_at.insert(uuid, self.now);
        }
    }
}

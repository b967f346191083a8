//! When containers were held last.

use super::World;
use crate::program::Program;

impl World {
    /// Looks at what is held, once faults have stopped.
    pub(super) fn note_held(&mut self) {
        if self.now < self.scenario.mended {
            return;
        }
        // An heir has what it knows nothing of, a TypeScript client may have that.
        let unclear = self.running().any(|(_, process, program)| {
            process.heir || matches!(program, Program::PlainClient(_))
        });
        if unclear {
            self.unclear_at = self.now;
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
        for uuid in held {
            self.held_at.insert(uuid, self.now);
        }
    }
}

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
        let mut held: Vec<String> = Vec::new();
        for (_, _, program) in self.running() {
            held.extend(program.held());
        }
        // The operator's references stay when it leaves. Of what it wanted and was not told to have
        // nobody knows.
        let left = match self.is_led() {
            true => &[],
            false => &self.scenario.wanted[..],
        };
        let (left, wanted): (Vec<_>, Vec<_>) = left
            .iter()
            .map(|(uuid, _)| uuid.clone())
            .partition(|uuid| self.ledger.was_held_durably(uuid));
        held.extend(left);
        if unclear || !wanted.is_empty() {
            self.unclear_at = self.now;
        }
        for uuid in held {
            self.held_at.insert(uuid, self.now);
        }
    }
}

//! The law of exclusive kinds.

use std::time::Duration;

use crate::ledger::CopyId;
use crate::program::Program;
use crate::program::agent::text;
use crate::world::World;

/// How long after two servers were up the leases of both may last, and what either did be unheard of.
const AFTER_TWO: Duration = Duration::from_secs(10);

pub(super) fn one_accepting(world: &World) -> Option<String> {
    let several = world.ledger.accepting.values().filter(|all| all.len() > 1);
    for copies in several {
        let mut accept = copies.iter().filter(|copy| accepts_alone(world, **copy));
        let (Some(one), Some(other)) = (accept.next(), accept.next()) else {
            continue;
        };
        if world.doubled_since(world.now.saturating_sub(AFTER_TWO)) {
            continue;
        }
        let known = world.ledger.copies.get(one)?;
        let told = |copy: &CopyId| {
            let epoch = world.ledger.copies.get(copy).and_then(|known| known.epoch);
            format!("{} ({})", world.process(copy.0).name, text(epoch))
        };
        return Some(format!(
            "{} accepts on {} and on {}",
            known.uuid,
            told(one),
            told(other)
        ));
    }
    None
}

/// Whether a container would begin with a request now, by its agent's own clock and lease; if the
/// process is paused: when it goes on in this moment.
fn accepts_alone(world: &World, copy: CopyId) -> bool {
    let process = world.process(copy.0);
    match &process.program {
        Some(Program::Agent(agent)) => agent.accepts_alone(copy.1, world.mono_at(&process.place)),
        _ => false,
    }
}

//! The law of agents that are in touch.

use std::time::Duration;

use super::verdict::{Verdict, unless};
use crate::ledger::News;
use crate::program::Program;
use crate::world::World;

/// How long nothing may have happened to an agent, nor to its way to the server, so that it is in touch:
/// the alive timeout of 3 s, and what connecting again takes.
const IN_TOUCH: Duration = Duration::from_secs(6);

/// What it takes at most to connect again.
const CONNECTING: Duration = Duration::from_millis(850);

pub(super) fn kept(world: &World, news: &News) -> Verdict {
    let News::GaveUp {
        server,
        agent,
        silent,
    } = news
    else {
        return None;
    };
    // A TypeScript agent does not see that its connection is dead.
    let (place, _) = agent.rsplit_once('.')?;
    if !place.starts_with("agent-") {
        return None;
    }
    // One that is gone may be given up when another has its place.
    let there = world.at(place).map(|id| world.process(id))?;
    let is_it = matches!(&there.program, Some(Program::Agent(there)) if there.id() == agent);
    let reaches = !there.paused && !world.is_apart(there);
    // A shorter grace than it takes to connect again nobody keeps.
    let grace = world.scenario.times.at_best(world.scenario.times.grace);
    if !silent && grace < CONNECTING {
        return None;
    }
    let server = world.process(*server);
    let calm = |place: &str| world.calm_for(place) > IN_TOUCH;
    let runs = world.now.saturating_sub(server.started) > IN_TOUCH;
    let is_alone = !world.doubled_since(world.now.saturating_sub(IN_TOUCH));
    let in_touch = is_it && reaches && calm(place) && calm("server") && runs && is_alone;
    unless(in_touch, || {
        format!("{} gave up {agent}, which was in touch", server.name)
    })
}

//! Laws of containers that nobody holds: they live for their idle time, and then they end.

use std::time::Duration;

use huly_protocol::KindSpec;

use super::references::IN_TOUCH;
use super::verdict::{Verdict, each, unless};
use crate::ledger::News;
use crate::world::World;
use crate::world::start::ORPHAN_GRACE;

/// When nobody asks for anything any more, after faults stop: neither do calls that were under way.
const ASKED: Duration = Duration::from_secs(26);
/// What messages take, and how seldom it is looked at what is held.
const SLACK: Duration = Duration::from_millis(1_000);

/// How long a container lives that nobody holds, if that is known: not of a kind that was deleted, as
/// containers keep what they were placed with.
fn idle_time(world: &World, uuid: &str) -> Option<Duration> {
    let mut named = world.scenario.uuids.iter();
    let (_, kind) = named.find(|(named, _)| named == uuid)?;
    if world.scenario.is_beforehand(uuid) {
        return None;
    }
    let specified = &world.scenario.breadth.specs;
    let ms = match world.specs.get(kind) {
        Some(spec) => spec.idle_timeout_ms(),
        None if specified.iter().any(|spec| spec.kind == *kind) => return None,
        None => KindSpec::DEFAULT_IDLE_TIMEOUT_MS,
    };
    Some(Duration::from_millis(ms))
}

pub(super) fn spared(world: &World, news: &News) -> Verdict {
    let copy = news.told_to_end()?;
    let uuid = &world.ledger.copies.get(copy)?.uuid;
    let idle = idle_time(world, uuid)?;
    let calm = |place: &str| world.calm_for(place) > IN_TOUCH;
    let agent = world.process(copy.0);
    let others = !world.ledger.accepting(uuid).is_empty();
    if others || !calm(&agent.place) || !calm("") || world.now < world.scenario.mended + IN_TOUCH {
        return None;
    }
    let unheld = world.ran_since(world.at("server")?, *world.held_at.get(uuid)?);
    unless(world.scenario.times.at_worst(unheld) < idle, || {
        let (name, ms) = (&agent.name, unheld.as_millis());
        format!("{name} was told to end {uuid}, which somebody held {ms} ms of the server's before")
    })
}

pub(super) fn ended(world: &World) -> Verdict {
    let asked = world.scenario.mended + ASKED;
    if world.now < asked {
        return None;
    }
    // Of before, for all that a server knows that has just started.
    let server = world.at("server").map(|id| world.process(id).started)?;
    let spared = server + world.scenario.times.at_worst(ORPHAN_GRACE);
    each(world.ledger.accepting.iter().map(|(uuid, copies)| {
        let copy = copies.first()?;
        let idle = world.scenario.times.at_worst(idle_time(world, uuid)?);
        let held = world.held_at.get(uuid).copied().unwrap_or_default();
        let held = held.max(world.unclear_at);
        let due = held.max(asked).max(spared) + idle + SLACK;
        // Held, it is not judged.
        if held + SLACK >= world.now {
            return None;
        }
        unless(world.now > due, || {
            let (name, due) = (&world.process(copy.0).name, due.as_secs_f64());
            format!("{uuid} is still there at {name}, and nobody has held it; due by {due:.1} s")
        })
    }))
}

//! The law of kinds of which an agent has only so many containers, and what waits for a place.

use super::verdict::{Verdict, unless};
use crate::ledger::News;
use crate::program::Program;
use crate::world::World;

/// As far as the server knows what there is: agents may bring more.
pub(super) fn kept(world: &World, news: &News) -> Verdict {
    let News::Crowd(crowd) = news else {
        return None;
    };
    let most = *world.scenario.rations.get(&crowd.kind)?;
    unless(crowd.count > most, || {
        let (agent, kind, count) = (&crowd.agent, &crowd.kind, crowd.count);
        format!("{agent} is to start one more {kind}: {count} there, and at most {most} are right")
    })
}

/// Whether a container is of a kind that may have no place.
pub(super) fn is_rationed(world: &World, uuid: &str) -> bool {
    kinds_of(world, uuid).any(|kind| world.scenario.rations.contains_key(kind))
}

/// Whether a container may have no place now.
pub(super) fn may_wait(world: &World, uuid: &str) -> bool {
    kinds_of(world, uuid).any(|kind| is_full(world, kind))
}

/// Its kind; of one whose uuid the server made, all.
fn kinds_of<'a>(world: &'a World, uuid: &'a str) -> impl Iterator<Item = &'a String> {
    let scenario = &world.scenario;
    let mut named = scenario.uuids.iter();
    let of = named.find(|(of, _)| of == uuid).map(|(_, kind)| kind);
    let unnamed = scenario.kinds.iter().filter(move |_| of.is_none());
    of.into_iter().chain(unnamed)
}

/// Whether every agent that is selected has as many of a kind as it may, or none is.
pub(super) fn is_full(world: &World, kind: &str) -> bool {
    let most = world.scenario.rations.get(kind);
    let spec = world.specs.get(kind);
    if most.is_none() && spec.is_none_or(|spec| spec.agent_selector.is_empty()) {
        return false;
    }
    let mut agents = world.running().filter_map(|(_, _, program)| match program {
        Program::Agent(agent) => Some(agent),
        _ => None,
    });
    !agents.any(|agent| {
        let selected = spec.is_none_or(|spec| spec.agent_selector.matches(agent.labels()));
        let there = agent.core().figures().containers.get(kind).copied();
        selected && most.is_none_or(|most| there.unwrap_or_default() < *most as usize)
    })
}

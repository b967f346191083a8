//! The law of uuids whose containers are made beforehand.

use super::ServerView;
use super::verdict::{Verdict, unless};
use crate::scenario::breadth::STATELESS;
use crate::world::World;

/// Whether containers of a uuid are made beforehand: it is had also when nobody holds it.
pub(super) fn is_stateless(world: &World, uuid: &str) -> bool {
    world.scenario.breadth.beforehand.is_some() && uuid == STATELESS.0
}

/// Whether a TypeScript agent has it. Such a one does not know of its container that it stands by no
/// more: none is seen to accept.
pub(super) fn plain_has(world: &World, view: &ServerView, uuid: &str) -> bool {
    let record = view.containers.iter().find(|record| record.uuid == uuid);
    record.is_some_and(|record| world.plain_keeps(&record.agent_id, uuid))
}

pub(super) fn have(world: &World, view: &ServerView) -> Verdict {
    world.scenario.breadth.beforehand?;
    let (uuid, _) = STATELESS;
    let known = view.references(uuid).is_some();
    let copies = world.ledger.accepting(uuid).len();
    let of_plain = plain_has(world, view, uuid);
    unless(!known || copies + usize::from(of_plain) != 1, || {
        format!("{copies} accept as {uuid}, a TypeScript agent: {of_plain}; known: {known}")
    })
}

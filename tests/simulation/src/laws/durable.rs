//! Laws of durable references.

use std::time::Duration;

use super::ServerView;
use super::verdict::{Verdict, each, unless};
use crate::ledger::News;
use crate::world::World;

pub(super) fn survives(world: &World, view: &ServerView) -> Verdict {
    // One that is gone wanted perhaps what it never got.
    let is_led = world.is_led();
    let wanted = world.scenario.wanted.iter();
    let held = wanted.filter(|(uuid, _)| is_led || world.ledger.was_held_durably(uuid));
    each(held.map(|(uuid, _)| {
        let copies = world.ledger.accepting(uuid).len();
        let known = view.references(uuid).unwrap_or_default();
        unless(copies == 0 || known == 0, || {
            format!("{uuid} is wanted; {copies} accept; references: {known}")
        })
    }))
}

pub(super) fn recorded(world: &World, news: &News) -> Verdict {
    let News::Holders { by, uuid, named } = news else {
        return None;
    };
    // In the end the operator lets go. Of two servers neither knows what the other was told.
    if !world.restarts || world.doubled_since(Duration::ZERO) {
        return None;
    }
    unless(!named, || {
        let name = &world.process(*by).name;
        format!("{name} knew that the operator holds {uuid}, and does not say so any more")
    })
}

//! Laws of durable references.

use std::time::Duration;

use super::verdict::{Verdict, each, unless};
use super::{ServerView, crowds};
use crate::ledger::News;
use crate::world::World;

pub(super) fn survives(world: &World, view: &ServerView) -> Verdict {
    each(world.scenario.wanted.iter().map(|(uuid, _)| {
        let copies = world.ledger.accepting(uuid).len();
        let known = view.references(uuid).unwrap_or_default();
        let wrong = (copies == 0 || known == 0) && !crowds::may_wait(world, uuid);
        unless(wrong, || {
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

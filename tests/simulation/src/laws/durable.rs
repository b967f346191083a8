//! Laws of durable references.

use std::time::Duration;

use super::verdict::{Verdict, each, unless};
use super::{ServerView, crowds};
use crate::ledger::News;
use crate::program::{Program, holders};
use crate::world::World;

pub(super) fn survives(world: &World, view: &ServerView) -> Verdict {
    // One that is gone wanted perhaps what it never got.
    let is_led = world.is_led();
    let wanted = world.scenario.wanted.iter();
    let held = wanted.filter(|(uuid, _)| is_led || world.ledger.was_held_durably(uuid));
    each(held.map(|(uuid, _)| {
        let copies = world.ledger.accepting(uuid).len();
        let known = view.references(uuid).unwrap_or_default();
        let unnamed = records(world, uuid).find(|(_, named)| !named);
        let wrong = (copies == 0 || known == 0) && !crowds::may_wait(world, uuid);
        unless(wrong || unnamed.is_some(), || match unnamed {
            Some((agent, _)) => {
                format!("the record of {uuid} at {agent} does not name the operator")
            }
            None => format!("{uuid} is wanted; {copies} accept; references: {known}"),
        })
    }))
}

/// The Rust agents that have a container, and whether its record there names the operator.
fn records<'a>(world: &'a World, uuid: &'a str) -> impl Iterator<Item = (&'a str, bool)> {
    world.running().filter_map(move |(_, process, program)| {
        let Program::Agent(agent) = program else {
            return None;
        };
        let records = agent.core().records(None);
        let record = records.into_iter().find(|record| record.uuid == uuid)?;
        let ext = record.huly?;
        Some((process.name.as_str(), holders::named(&ext.holders)))
    })
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

//! Laws of durable references.

use std::collections::BTreeSet;
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
    each(held.map(|(uuid, kind)| {
        let copies = world.ledger.accepting(uuid).len();
        let known = view.references(uuid).unwrap_or_default();
        let unnamed = records(world, uuid).find(|(_, named)| !named);
        let wrong = match crowds::may_wait(world, uuid) {
            // What waits for a place is in no list.
            true => !are_counted(world, view, kind),
            false => copies == 0 || known == 0,
        };
        unless(wrong || unnamed.is_some(), || match unnamed {
            Some((agent, _)) => {
                format!("the record of {uuid} at {agent} does not name the operator")
            }
            None => format!("{uuid} is wanted; {copies} accept; references: {known}"),
        })
    }))
}

/// Whether the server counts as many references to containers of a kind as the operator holds.
fn are_counted(world: &World, view: &ServerView, kind: &str) -> bool {
    let mut held: BTreeSet<String> = BTreeSet::new();
    for (_, _, program) in world.running() {
        if let Program::Operator(operator) = program {
            held.extend(operator.held());
        }
    }
    let of_kind = world.scenario.wanted.iter();
    let of_kind = of_kind.filter(|(uuid, of)| of == kind && held.contains(uuid));
    let known = view.snapshot.references.get(kind).copied();
    known.unwrap_or_default() >= of_kind.count()
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

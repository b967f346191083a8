//! Laws of exclusive kinds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verdict::{Verdict, each, unless, where_any};
use crate::ledger::{CopyId, News};
use crate::program::Program;
use crate::program::agent::text;
use crate::scenario::Step;
use crate::world::World;

/// How long after two servers were up the leases of both may last, and what either did be unheard of.
const AFTER_TWO: Duration = Duration::from_secs(10);

/// By what containers would do.
pub(super) fn one_accepting(world: &World) -> Verdict {
    let several = world.ledger.accepting.values().filter(|all| all.len() > 1);
    each(several.map(|copies| {
        let mut accept = copies.iter().filter(|copy| accepts_alone(world, **copy));
        let one = accept.next()?;
        let mut all = copies.iter();
        if two_servers(world, world.now) || all.any(|copy| was_another_kinds(world, *copy)) {
            return None;
        }
        let known = world.ledger.copies.get(one)?;
        let wrong = accept.next().map(|other| {
            let (one, other) = (told(world, *one), told(world, *other));
            format!("{} accepts on {one} and on {other}", known.uuid)
        });
        where_any(true, wrong)
    }))
}

/// By what they do.
pub(super) fn begins_alone(world: &World, news: &News) -> Verdict {
    let News::Executed(op) = news else {
        return None;
    };
    let copy = *world.ledger.asked.get(op)?.executed.last()?;
    let known = world.ledger.copies.get(&copy)?;
    known.begun_alone?;
    if two_servers(world, world.now) || was_another_kinds(world, copy) {
        return None;
    }
    let told = |does: &str, other: CopyId| {
        let (uuid, one, other) = (&known.uuid, told(world, copy), told(world, other));
        format!("{uuid} begins with request {op} on {one}, and {does} on {other}")
    };
    let others = world.ledger.accepting.get(&known.uuid)?.iter();
    let others = others.filter(|other| **other != copy);
    let accept =
        others.map(|other| unless(accepts_alone(world, *other), || told("accepts", *other)));
    // Also one that is over.
    let later = world.ledger.later_than(&known.uuid, known.epoch);
    let begun = later.map(|(other, later)| {
        let begun = later.begun_alone;
        let here = |at| !two_servers(world, at) && !world.has_another_server_since(at);
        unless(begun.is_some_and(here), || {
            told("has begun with others", other)
        })
    });
    each(accept.chain(begun))
}

/// Whether a container was placed while its kind was deleted, or a kind that may be its own: it waited
/// for nobody's lease, and became exclusive later.
fn was_another_kinds(world: &World, copy: CopyId) -> bool {
    let Some(known) = world.ledger.copies.get(&copy) else {
        return false;
    };
    let mut named = world.scenario.uuids.iter();
    let own = named
        .find(|(uuid, _)| *uuid == known.uuid)
        .map(|(_, kind)| kind);
    let before = world.scenario.steps.iter();
    let before = before.filter(|(at, _)| *at <= known.since);
    let mut deleted: BTreeMap<&str, bool> = BTreeMap::new();
    for (_, step) in before {
        match step {
            Step::DeleteKind(kind) => deleted.insert(kind, true),
            Step::SetKind(spec) => deleted.insert(&spec.kind, false),
            _ => None,
        };
    }
    let mut deleted = deleted.iter().filter(|(_, deleted)| **deleted);
    deleted.any(|(kind, _)| own.is_none_or(|own| own == kind))
}

/// Whether two servers were up then or later, or so shortly before that it may still be felt.
fn two_servers(world: &World, since: Duration) -> bool {
    world.doubled_since(since.saturating_sub(AFTER_TWO))
}

fn told(world: &World, copy: CopyId) -> String {
    let epoch = world.ledger.copies.get(&copy).and_then(|known| known.epoch);
    format!("{} ({})", world.process(copy.0).name, text(epoch))
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

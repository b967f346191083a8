//! Laws of exclusive kinds.

use std::time::Duration;

use huly_protocol::lease;

use super::verdict::{Verdict, each, unless, where_any};
use crate::ledger::{Copy, CopyId, News, Placing};
use crate::program::Program;
use crate::program::agent::text;
use crate::scenario::Step;
use crate::world::World;

/// How long a start may be on its way to its agent.
const UNDER_WAY: Duration = Duration::from_secs(6);

/// How long after two servers were up the leases of both may last, and what either did be unheard of.
const AFTER_TWO: Duration = Duration::from_secs(10);

/// By what containers would do.
pub(super) fn one_accepting(world: &World) -> Verdict {
    let several = world.ledger.accepting.values().filter(|all| all.len() > 1);
    each(several.map(|copies| {
        let copies = copies.iter().copied();
        let accept: Vec<CopyId> = copies.filter(|copy| accepts_alone(world, *copy)).collect();
        let one = *accept.first()?;
        if two_servers(world, world.now) {
            return None;
        }
        let known = world.ledger.copies.get(&one)?;
        let mut pairs = (0..).zip(&accept).flat_map(|(before, other)| {
            let before = accept.iter().take(before);
            before.map(|one| (*one, *other))
        });
        let wrong = pairs.find(|(one, other)| !may_overlap(world, *one, *other));
        let wrong = wrong.map(|(one, other)| {
            let (one, other) = (told(world, one), told(world, other));
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
    // That it was of an exclusive kind once says nothing of this request.
    let alone = known.begun_alone == known.begun;
    known.begun_alone.filter(|_| alone)?;
    if two_servers(world, world.now) {
        return None;
    }
    let told = |does: &str, other: CopyId| {
        let (uuid, one, other) = (&known.uuid, told(world, copy), told(world, other));
        format!("{uuid} begins with request {op} on {one}, and {does} on {other}")
    };
    let others = world.ledger.accepting.get(&known.uuid)?.iter();
    let others = others.filter(|other| **other != copy && !may_overlap(world, copy, **other));
    let accept =
        others.map(|other| unless(accepts_alone(world, *other), || told("accepts", *other)));
    // Also one that is over.
    let later = world.ledger.later_than(&known.uuid, known.epoch);
    let later = later.filter(|(other, _)| !may_overlap(world, copy, *other));
    let begun = later.map(|(other, later)| {
        let begun = later.begun_alone;
        let here = |at| !two_servers(world, at) && !world.has_another_server_since(at);
        unless(begun.is_some_and(here), || {
            told("has begun with others", other)
        })
    });
    each(accept.chain(begun))
}

/// Whether the lease of the earlier of two lives may last beside the later one: that was placed while
/// its kind was deleted or not known yet, so it waited for nobody's, and became exclusive when it was
/// there; or the earlier one was lost while its kind was deleted, and none was waited for.
fn may_overlap(world: &World, one: CopyId, other: CopyId) -> bool {
    let known = |life: CopyId| world.ledger.copies.get(&life);
    let (Some(one), Some(other)) = (known(one), known(other)) else {
        return false;
    };
    let (earlier, later) = match one.epoch < other.epoch {
        true => (one, other),
        false => (other, one),
    };
    let longest = world.scenario.times.at_worst(lease::LONGEST);
    if world.now > later.since + longest {
        return false;
    }
    let is_exclusive = |life: &Copy| life.placing.as_ref().is_some_and(|told| told.exclusive);
    let Some(placing) = &later.placing else {
        // Made beforehand.
        return true;
    };
    match placing.exclusive {
        true => !is_exclusive(earlier) && is_deleted(world, &placing.kind, later.since),
        false => !was_told(world, placing),
    }
}

/// Whether a kind was deleted before that.
fn is_deleted(world: &World, kind: &str, by: Duration) -> bool {
    let mut steps = world.scenario.steps.iter();
    steps
        .any(|(at, step)| *at <= by && matches!(step, Step::DeleteKind(deleted) if deleted == kind))
}

/// Whether the server surely knew that the kind of what it placed is exclusive: it has been so from the
/// beginning on.
fn was_told(world: &World, placing: &Placing) -> bool {
    let kind = &placing.kind;
    let mut specs = world.scenario.breadth.specs.iter();
    let always = specs.any(|spec| spec.kind == *kind && spec.exclusive);
    let mut steps = world.scenario.steps.iter();
    let changed = steps.any(|(at, step)| {
        let of_it = match step {
            Step::SetKind(spec) => spec.kind == *kind,
            Step::DeleteKind(deleted) => deleted == kind,
            _ => false,
        };
        of_it && *at <= placing.at
    });
    let server = world.at("server");
    let said = server.and_then(|server| world.ledger.kinds_said.get(&server));
    always && !changed && said.is_some_and(|at| *at + UNDER_WAY < placing.at)
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

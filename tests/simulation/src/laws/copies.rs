//! Laws of a container's copies.

use huly_protocol::Epoch;

use super::ServerView;
use super::verdict::{Verdict, always, each, unless, where_any};
use crate::ledger::{CopyId, News};
use crate::program::Program;
use crate::program::agent::text;
use crate::world::World;

pub(super) fn one_per_epoch(world: &World, news: &News) -> Verdict {
    let News::Accepts(copy) = news else {
        return None;
    };
    let known = world.ledger.copies.get(copy)?;
    let epoch = known.epoch?;
    let lives = world.ledger.lives.get(&known.uuid)?.iter();
    let twin = lives.filter(|other| *other != copy).find(|other| {
        let other = world.ledger.copies.get(other);
        other.is_some_and(|other| other.epoch == Some(epoch))
    });
    unless(twin.is_some(), || {
        let twin = twin.map_or("", |twin| on(world, *twin));
        format!(
            "{} accepts on {}, after {twin} had it with the same epoch {}",
            known.uuid,
            on(world, *copy),
            text(Some(epoch)),
        )
    })
}

/// From when on what happened last has been told until something happens again.
pub(super) fn one(world: &World) -> Verdict {
    if !world.is_told() {
        return None;
    }
    each(world.ledger.accepting.iter().map(|(uuid, all)| {
        let wrong = (all.len() > 1).then(|| {
            let copies = world.ledger.accepting(uuid);
            let copies = copies.iter();
            let all: Vec<String> = copies
                .map(|(copy, epoch)| format!("{} ({})", on(world, *copy), text(*epoch)))
                .collect();
            format!("{uuid} accepts on {}", all.join(" and on "))
        });
        where_any(!all.is_empty(), wrong)
    }))
}

/// Of the copies that there were after what happened last, as long as [`one`] holds.
pub(super) fn higher_epoch(world: &World) -> Verdict {
    if !world.is_told() {
        return None;
    }
    each(world.laws.before.iter().map(|(uuid, before)| {
        // What the server has placed at a TypeScript agent does not say its epoch.
        let [(stays, Some(epoch))] = world.ledger.accepting(uuid)[..] else {
            return None;
        };
        let others = before.iter().filter(|(copy, _)| *copy != stays);
        each(others.map(|(copy, of)| {
            let wrong = Some(epoch) < *of && !is_excepted(world, *copy, *of);
            unless(wrong, || {
                format!(
                    "{uuid} goes on at {} ({}), and {} had {}",
                    on(world, stays),
                    text(Some(epoch)),
                    on(world, *copy),
                    text(*of)
                )
            })
        }))
    }))
}

/// Whether a copy is one that a server of a lower term has placed, and that came when the present one
/// may have settled.
fn is_excepted(world: &World, copy: CopyId, of: Option<Epoch>) -> bool {
    let Some(id) = world.at("server") else {
        return false;
    };
    let server = world.process(id);
    let Some(Program::Server(program)) = &server.program else {
        return false;
    };
    let settle = world.scenario.times.at_best(world.scenario.times.settle);
    let registered = world.ledger.registered.get(&(copy.0, id));
    let late = registered.is_none_or(|at| *at >= server.started + settle);
    late && of.is_some_and(|of| of.term < program.snapshot().term)
}

/// Also of lives that are over. What a server of another term has placed is left out, and what began
/// under another server: nobody else knows of it.
pub(super) fn latest(world: &World, view: &ServerView) -> Verdict {
    let ledger = &world.ledger;
    let here = |at| !world.doubled_since(at) && !world.has_another_server_since(at);
    let lives = ledger.accepting.keys().flat_map(|uuid| {
        let lives = ledger.accepting(uuid).into_iter();
        lives.map(move |(copy, epoch)| (uuid, copy, epoch))
    });
    each(lives.map(|(uuid, copy, epoch)| {
        epoch?;
        let mut later = ledger.later_than(uuid, epoch);
        let wrong = later.find(|(_, later)| {
            let term = later.epoch.map(|epoch| epoch.term);
            term == Some(view.snapshot.term) && later.begun.is_some_and(here)
        });
        always(wrong.map(|(other, later)| {
            format!(
                "{uuid} lives on {} ({}), and has begun with requests on {} ({})",
                on(world, copy),
                text(epoch),
                on(world, other),
                text(later.epoch)
            )
        }))
    }))
}

fn on(world: &World, copy: CopyId) -> &str {
    &world.process(copy.0).name
}

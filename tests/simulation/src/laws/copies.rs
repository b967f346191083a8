//! Laws of a container's copies.

use std::time::Duration;

use super::ServerView;
use super::verdict::{Verdict, always, each, unless, where_any};
use crate::ledger::{CopyId, News};
use crate::program::agent::text;
use crate::world::World;

/// How long after its start a server takes whatever copy has the higher epoch.
const SETTLING: Duration = Duration::from_millis(1_500);

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

pub(super) fn one(world: &World, _: &ServerView) -> Verdict {
    each(world.ledger.accepting.keys().map(|uuid| {
        let copies = world.ledger.accepting(uuid);
        let wrong = (copies.len() > 1).then(|| {
            let all: Vec<String> = copies
                .iter()
                .map(|(copy, epoch)| format!("{} ({})", on(world, *copy), text(*epoch)))
                .collect();
            format!("{uuid} accepts on {}", all.join(" and on "))
        });
        where_any(!copies.is_empty(), wrong)
    }))
}

pub(super) fn higher_epoch(world: &World, view: &ServerView) -> Verdict {
    let server = world.at("server")?;
    let late = |copy: CopyId| {
        let registered = world.ledger.registered.get(&(copy.0, server));
        registered.is_none_or(|at| *at > view.started + SETTLING)
    };
    each(world.laws.mended.iter().map(|(uuid, before)| {
        // What the server has placed at a TypeScript agent does not say its epoch.
        let [(stays, Some(epoch))] = world.ledger.accepting(uuid)[..] else {
            return None;
        };
        let others = before.iter().filter(|(copy, _)| *copy != stays);
        each(others.map(|(copy, of)| {
            let excepted = of.is_some_and(|of| of.term < view.snapshot.term) && late(*copy);
            unless(Some(epoch) < *of && !excepted, || {
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

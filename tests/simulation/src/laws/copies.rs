//! Laws of a container's copies.

use std::time::Duration;

use super::ServerView;
use crate::ledger::{CopyId, News};
use crate::program::agent::text;
use crate::world::World;

/// How long after its start a server takes whatever copy has the higher epoch.
const SETTLING: Duration = Duration::from_millis(1_500);

pub(super) fn one_per_epoch(world: &World, news: &News) -> Option<String> {
    let News::Accepts(copy) = news else {
        return None;
    };
    let known = world.ledger.copies.get(copy)?;
    let epoch = known.epoch?;
    let others = world.ledger.accepting(&known.uuid);
    let twin = others
        .iter()
        .find(|(other, of)| other != copy && *of == Some(epoch))?;
    Some(format!(
        "{} accepts on {} and on {}, both with epoch {}",
        known.uuid,
        on(world, twin.0),
        on(world, *copy),
        text(Some(epoch)),
    ))
}

pub(super) fn one(world: &World, _: &ServerView) -> Option<String> {
    world.ledger.accepting.keys().find_map(|uuid| {
        let copies = world.ledger.accepting(uuid);
        (copies.len() > 1).then(|| {
            let all: Vec<String> = copies
                .iter()
                .map(|(copy, epoch)| format!("{} ({})", on(world, *copy), text(*epoch)))
                .collect();
            format!("{uuid} accepts on {}", all.join(" and on "))
        })
    })
}

pub(super) fn higher_epoch(world: &World, view: &ServerView) -> Option<String> {
    let server = world.at("server")?;
    let late = |copy: CopyId| {
        let registered = world.ledger.registered.get(&(copy.0, server));
        registered.is_none_or(|at| *at > view.started + SETTLING)
    };
    for (uuid, before) in &world.laws.mended {
        // What the server has placed at a TypeScript agent does not say its epoch.
        let [(stays, Some(epoch))] = world.ledger.accepting(uuid)[..] else {
            continue;
        };
        let epoch = Some(epoch);
        for (copy, of) in before {
            let excepted = of.is_some_and(|of| of.term < view.snapshot.term) && late(*copy);
            if epoch < *of && !excepted {
                return Some(format!(
                    "{uuid} goes on at {} ({}), and {} had {}",
                    on(world, stays),
                    text(epoch),
                    on(world, *copy),
                    text(*of)
                ));
            }
        }
    }
    None
}

fn on(world: &World, copy: CopyId) -> &str {
    &world.process(copy.0).name
}

//! Laws of references.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::standbys::plain_has;
use super::verdict::{Verdict, always, each, unless, where_any};
use super::{ServerView, crowds};
use crate::ledger::News;
use crate::world::World;
use crate::world::start::ORPHAN_GRACE;

/// How long nothing may have happened to peers so that what the server did is its own doing.
pub(super) const IN_TOUCH: Duration = Duration::from_secs(12);

/// How long before the server's start nothing may have happened to an agent so that what the server
/// before knew of it is over.
const GOT_OVER: Duration = Duration::from_secs(5);

/// How many clients hold each container.
fn holders(world: &World) -> BTreeMap<String, u32> {
    let mut holders = BTreeMap::new();
    for (_, _, program) in world.running() {
        for uuid in program.held() {
            *holders.entry(uuid).or_default() += 1;
        }
    }
    holders
}

pub(super) fn served(world: &World, view: &ServerView) -> Verdict {
    each(holders(world).into_keys().map(|uuid| {
        let of_plain = plain_has(world, view, &uuid);
        let copies = world.ledger.accepting(&uuid).len() + usize::from(of_plain);
        let known = view.references(&uuid).is_some();
        let wrong = (copies == 0 || !known) && !crowds::may_wait(world, &uuid);
        unless(wrong, || {
            format!("{uuid} is held; {copies} accept; known as live: {known}")
        })
    }))
}

pub(super) fn held(world: &World, view: &ServerView) -> Verdict {
    let mut holders = holders(world);
    let mut left = BTreeSet::new();
    let is_led = world.is_led();
    let operators = world.processes.iter();
    let operators = operators.filter(|process| process.place.starts_with("operator"));
    if is_led && operators.count() > 1 {
        // One before may have ended before it was told that it holds it.
        let wanted = world.scenario.wanted.iter().map(|(uuid, _)| uuid);
        left.extend(wanted.filter(|uuid| !holders.contains_key(*uuid)));
    }
    if !is_led {
        for (uuid, _) in &world.scenario.wanted {
            match world.ledger.was_held_durably(uuid) {
                true => *holders.entry(uuid.clone()).or_default() += 1,
                // It may have ended before it was told so.
                false => {
                    left.insert(uuid);
                }
            }
        }
    }
    // What a client holds that came under the id of another is also what that one held.
    let heirs = world.running().filter(|(_, process, _)| process.heir);
    let heirs = heirs.count() as u32;
    // What has no place is in no list.
    let listed = |uuid: &&&String| view.containers.iter().any(|one| one.uuid == ***uuid);
    let mut unclear_in_all = left.iter().filter(|uuid| !listed(uuid)).count() as u32;
    for record in &view.containers {
        let known = view.references(&record.uuid).unwrap_or_default();
        let held = holders.get(&record.uuid).copied().unwrap_or_default();
        // What a TypeScript client has left behind, the server keeps until it leaves.
        let programs = world.running().map(|(_, _, program)| program);
        let unclear = programs.filter(|program| program.is_unclear(&record.uuid));
        let unclear = (unclear.count() + usize::from(left.contains(&record.uuid))) as u32;
        unclear_in_all += unclear;
        if known < held || known > held + heirs + unclear {
            let uuid = &record.uuid;
            return Some(Err(format!(
                "the server knows {known} references to {uuid}, {held} clients hold it"
            )));
        }
    }
    let all: u64 = holders.values().copied().map(u64::from).sum();
    let known: usize = view.snapshot.references.values().sum();
    let differs = (known as u64) < all || (heirs + unclear_in_all == 0 && known as u64 != all);
    let wrong = differs.then(|| format!("the server knows {known} references, clients {all}"));
    where_any(all > 0, wrong)
}

pub(super) fn restart(world: &World, news: &News) -> Verdict {
    let copy = news.told_to_end()?;
    let uuid = &world.ledger.copies.get(copy)?.uuid;
    // A TypeScript agent's, of which nothing is seen here, may have registered first (W19).
    if world.scenario.is_beforehand(uuid) && world.scenario.has_plain_agents() {
        return None;
    }
    let calm = |place: &str| world.calm_for(place) > IN_TOUCH;
    let agent = world.process(copy.0);
    if !world.ledger.accepting(uuid).is_empty() || !calm(&agent.place) || !calm("") {
        return None;
    }
    let holder = world.running().find(|(_, process, program)| {
        let in_touch = calm(&process.place) && !process.paused && !world.is_apart(process);
        in_touch && program.held().contains(uuid)
    });
    always(holder.map(|(_, holder, _)| {
        let (agent, holder) = (&agent.name, &holder.name);
        format!("{agent} was told to end {uuid}, which {holder} holds")
    }))
}

/// Of what an agent has that was there all the time, and where there is no other life.
pub(super) fn spared(world: &World, news: &News) -> Verdict {
    let copy = news.told_to_end()?;
    let known = world.ledger.copies.get(copy)?;
    let uuid = &known.uuid;
    let server_id = world.at("server")?;
    let server = world.process(server_id);
    let since = world.now.saturating_sub(server.started);
    let ran = world.ran_since(server_id, server.started);
    let agent = world.process(copy.0);
    let calm = |place: &str| world.calm_for(place) > since + GOT_OVER;
    let one = !world.doubled_since(server.started.saturating_sub(GOT_OVER));
    let others = world.ledger.later_than(uuid, known.epoch).next().is_some()
        || !world.ledger.accepting(uuid).is_empty()
        || world.scenario.is_beforehand(uuid);
    // TypeScript agents have other reasons to end theirs.
    known.epoch?;
    let lived_before = known.since < server.started;
    if !lived_before || others || !one || !calm(&agent.place) || !calm("") {
        return None;
    }
    unless(ran < world.scenario.times.at_best(ORPHAN_GRACE), || {
        let (agent, ran) = (&agent.name, ran.as_secs_f64());
        format!("{agent} was told to end {uuid} when the server had run for {ran:.1} s")
    })
}

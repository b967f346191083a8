//! Laws of requests.

use std::collections::BTreeSet;
use std::time::Duration;

use huly_protocol::Epoch;

use super::verdict::{Verdict, each, unless, where_any};
use crate::ledger::{Asked, CopyId, News};
use crate::program::agent::text;
use crate::world::{ProcessId, World};

/// How much later than its deadline a call may fail.
const LATE: Duration = Duration::from_millis(500);

/// What an agent takes to remember an answer, in bytes, those with errors between it and the next of a
/// container's among them.
const ANSWER_BYTES: usize = 512;

/// Whether an agent may have forgotten that a container answered a request: the window of time or of
/// bytes is over.
fn is_forgotten(world: &World, op: u64, copy: CopyId) -> bool {
    let limits = &world.scenario.limits;
    let answered = world.ledger.copies.get(&copy);
    let Some((at, before)) = answered.and_then(|copy| copy.answered.get(&op)) else {
        return false;
    };
    let window = limits.answers_window;
    let fast = world.scenario.times.at_worst(window).saturating_sub(window);
    let late = world.now.saturating_sub(*at) + fast >= window;
    let answers = world
        .ledger
        .answers
        .get(&copy.0)
        .copied()
        .unwrap_or_default();
    let room = limits.answers_bytes / ANSWER_BYTES;
    late || answers.saturating_sub(*before) >= room as u64
}

/// Whether a request ran in a life of which its client has not heard, as the server that placed it was
/// lost, and now in an earlier one that was back first: that is not promised.
fn ran_unheard(world: &World, asked: &Asked, now: Option<Epoch>, last: Option<Epoch>) -> bool {
    let (Some(now), Some(last)) = (now, last) else {
        return false;
    };
    let told = world.ledger.told.get(&(asked.by, asked.uuid.clone()));
    now < last && told.is_some_and(|told| *told < last) && world.has_another_server_since(asked.at)
}

pub(super) fn once(world: &World, news: &News) -> Verdict {
    let News::Executed(op) = news else {
        return None;
    };
    let asked = world.ledger.asked.get(op)?;
    let last = *asked.executed.last()?;
    let copies = asked.executed.iter();
    let mut runs = Vec::new();
    for copy in copies.filter_map(|copy| world.ledger.copies.get(copy)) {
        // A TypeScript agent knows no epoch, and nothing of requests that are sent again.
        let Some(epoch) = copy.epoch else { continue };
        runs.push((copy.uuid.as_str(), epoch));
    }
    let now = world.ledger.copies.get(&last)?;
    if let Some(epoch) = now.epoch {
        // What ran twice in a life before was judged then.
        let life = (now.uuid.as_str(), epoch);
        let times = runs.iter().filter(|run| **run == life).count();
        if times > 1 && !is_forgotten(world, *op, last) {
            let (uuid, epoch) = (life.0, text(Some(epoch)));
            let wrong = format!("request {op} ran {times} times in {uuid}, epoch {epoch}");
            return Some(Err(wrong));
        }
    }
    let known = runs.len() == asked.executed.len();
    let once = known && !asked.idempotent && !world.doubled_since(asked.at);
    let latest = runs.iter().map(|(_, epoch)| *epoch).max();
    if once && ran_unheard(world, asked, now.epoch, latest) {
        return None;
    }
    let lives = runs.into_iter().collect::<BTreeSet<_>>().len();
    let wrong =
        (lives > 1 && once).then(|| format!("request {op} ran in {lives} lives of its container"));
    where_any(asked.sent_again && lives > 0, wrong)
}

pub(super) fn of_it(world: &World, news: &News) -> Verdict {
    match news {
        News::Executed(op) => {
            // A TypeScript client does not know who listens on a port by now.
            let asked = world.ledger.asked.get(op).filter(|one| !one.of_port)?;
            // Of what a TypeScript agent made beforehand nothing is known.
            let ran = world.ledger.copies.get(asked.executed.last()?)?;
            unless(ran.uuid != asked.uuid, || {
                format!(
                    "request {op} was asked of {} and ran in {}",
                    asked.uuid, ran.uuid
                )
            })
        }
        News::Got { asked, got } => unless(asked != got, || format!("who got {asked} has {got}")),
        _ => None,
    }
}

pub(super) fn in_time(world: &World) -> Verdict {
    let late = |by: ProcessId, deadline: Duration| {
        let process = world.process(by);
        let asked_of = process.program.is_some() && !process.paused;
        asked_of && world.now > deadline.max(process.awake_since) + LATE
    };
    let requests = world.ledger.unanswered.iter().map(|op| {
        let asked = world.ledger.asked.get(op)?;
        unless(late(asked.by, asked.deadline), || {
            format!("request {op} has no answer")
        })
    });
    let calls = world.ledger.gets.iter().map(|((by, call), get)| {
        let name = &world.process(*by).name;
        unless(late(*by, get.deadline), || {
            format!("get {call} of {name} has no answer")
        })
    });
    each(requests.chain(calls))
}

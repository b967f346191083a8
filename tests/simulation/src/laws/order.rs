//! Laws of the order in which requests begin.

use super::verdict::{Verdict, where_any};
use crate::ledger::{Asked, News};
use crate::world::World;

/// Of one that may be on its way more than once nobody can say when it should begin.
fn has_a_place(asked: &Asked) -> bool {
    asked.connection.is_some() && !asked.sent_again && !asked.idempotent
}

pub(super) fn in_order(world: &World, news: &News) -> Verdict {
    let News::Executed(op) = news else {
        return None;
    };
    let asked = world.ledger.asked.get(op).filter(|one| has_a_place(one))?;
    let copy = asked.executed.last()?;
    // TypeScript agents forget what they began with.
    let life = world.ledger.copies.get(copy)?;
    life.epoch?;
    // A client numbers its requests as it asks.
    let later = world.ledger.asked.range(op + 1..);
    let mut beside = later
        .take_while(|(_, other)| other.by == asked.by)
        .filter(|(_, other)| has_a_place(other) && other.connection == asked.connection)
        .filter(|(_, other)| other.uuid == asked.uuid)
        .peekable();
    let something = beside.peek().is_some();
    let overtook =
        beside.find(|(_, other)| other.began < asked.began && other.executed.contains(copy));
    let what =
        |(other, _): (&u64, &Asked)| format!("request {other} began before {op} in {}", life.uuid);
    where_any(something, overtook.map(what))
}

pub(super) fn one_at_a_time(world: &World, news: &News) -> Verdict {
    let News::Executed(op) = news else {
        return None;
    };
    let asked = world.ledger.asked.get(op)?;
    let life = world.ledger.copies.get(asked.executed.last()?)?;
    let wrong = asked
        .beside
        .map(|other| format!("{} begins with request {op} while {other} runs", life.uuid));
    where_any(life.serial, wrong)
}

//! Laws of several operators, of which one leads.

use super::ServerView;
use super::verdict::{Verdict, unless};
use crate::ledger::News;
use crate::program::Program;
use crate::program::server::Fencing;
use crate::world::World;

pub(super) fn one(world: &World) -> Verdict {
    let operators = world.running().filter_map(|(_, process, program)| {
        let Program::Operator(operator) = program else {
            return None;
        };
        Some((process, operator.leads_until()?))
    });
    let leading = operators.filter(|(process, until)| *until > world.mono_at(&process.place));
    let leading: Vec<&str> = leading.map(|(process, _)| process.name.as_str()).collect();
    (!leading.is_empty()).then_some(())?;
    unless(leading.len() > 1, || {
        format!("{} lead", leading.join(" and "))
    })
}

pub(super) fn fenced(_: &World, news: &News) -> Verdict {
    let News::Fencing(fencing) = news else {
        return None;
    };
    match *fencing {
        Fencing::Hello {
            number,
            before,
            let_in,
        } => unless(
            before.is_some_and(|before| number < before) && let_in,
            || {
                let before = before.unwrap_or_default();
                format!("number {number} is let in after {before}")
            },
        ),
        Fencing::Said { number, applied } => unless(applied, || {
            format!("what number {number} says is done, and a higher one was let in before")
        }),
    }
}

pub(super) fn led(world: &World, _: &ServerView) -> Verdict {
    world.scenario.rivals.then_some(())?;
    let led = world.running().any(|(_, process, program)| {
        matches!(program, Program::Operator(operator)
            if operator.is_up()
                && operator.leads_until().is_some_and(|at| at > world.mono_at(&process.place)))
    });
    unless(!led, || {
        "no operator leads and reaches the server".to_owned()
    })
}

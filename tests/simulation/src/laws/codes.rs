//! The law of codes: what an error says of a request or a get is so.

mod gets;

use std::time::Duration;

use huly_protocol::ErrorCode;

use super::verdict::{Verdict, always, where_any};
use crate::ledger::{Asked, News, Outcome};
use crate::words::of_code;
use crate::world::World;

/// How much earlier than its caller gives up a request that waits may be given up (100 ms).
const LAST_WORD: Duration = Duration::from_millis(110);

/// What a code says of a request to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It did not run and will not.
    DidNotRun,
    /// The same, and its time is over.
    TooLate,
    /// It was sent, and may have run.
    NotKnown,
    /// Nothing that a request to a container that counts can come to.
    Nothing,
}

/// What each code says of a request.
fn of_request(code: ErrorCode) -> Says {
    match code {
        ErrorCode::Interrupted | ErrorCode::Gone | ErrorCode::Busy | ErrorCode::NoSuchContainer => {
            Says::DidNotRun
        }
        ErrorCode::TimedOut => Says::TooLate,
        ErrorCode::OutcomeUnknown => Says::NotKnown,
        _ => Says::Nothing,
    }
}

/// The longest time that a request or a get is given.
const LONGEST: Duration = Duration::from_secs(8);

/// The same, by clocks that drift.
fn last_word(world: &World) -> Duration {
    LAST_WORD
        + world
            .scenario
            .times
            .at_worst(LONGEST)
            .saturating_sub(LONGEST)
}

pub(super) fn fits(world: &World, news: &News) -> Verdict {
    match news {
        News::Executed(op) | News::Done(op) => {
            let asked = world.ledger.asked.get(op)?;
            let (outcome, _) = asked.outcome?;
            let wrong = request(asked, last_word(world));
            let is_error = matches!(outcome, Outcome::Error(_));
            where_any(is_error, wrong.map(|wrong| format!("request {op} {wrong}")))
        }
        News::Called { call, code, get } => {
            let code = (*code)?;
            let wrong = gets::wrong(world, get, code);
            let says = of_code(Some(code));
            always(wrong.map(|wrong| format!("get {call} failed, says \"{says}\": {wrong}")))
        }
        _ => None,
    }
}

/// What is wrong with what came of a request.
fn request(asked: &Asked, last_word: Duration) -> Option<String> {
    let ran = !asked.executed.is_empty();
    let (outcome, ended) = asked.outcome?;
    let code = match outcome {
        Outcome::Answer { .. } if !ran => return Some("was answered and did not run".to_owned()),
        Outcome::Answer { fits: false } => return Some("got the answer to another one".to_owned()),
        Outcome::Answer { fits: true } => return None,
        Outcome::Failed => return None,
        Outcome::Error(None) => return Some("failed without a code".to_owned()),
        Outcome::Error(Some(code)) => code,
    };
    // An idempotent one is sent again as if it had never been: it is said of its last try.
    let ran = match asked.idempotent {
        true => asked.ran_by.contains(&asked.tries),
        false => ran,
    };
    let wrong = match of_request(code) {
        Says::DidNotRun if ran => "it ran",
        Says::TooLate if ran => "it ran",
        Says::TooLate if ended + last_word < asked.deadline => "its time is not over",
        Says::NotKnown if !asked.sent => "it was never sent",
        Says::Nothing => "which says nothing of it",
        Says::DidNotRun | Says::TooLate | Says::NotKnown => return None,
    };
    let says = of_code(Some(code));
    Some(format!("failed, says \"{says}\": {wrong}"))
}

//! Laws of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{Epoch, ErrorCode};

use crate::ledger::{News, Outcome};
use crate::program::agent::text;
use crate::world::{ProcessId, World};

/// How much later than its deadline a call may fail.
const LATE: Duration = Duration::from_millis(500);

pub(super) fn once(world: &World, news: &News) -> Option<String> {
    let News::Executed(op) = news else {
        return None;
    };
    let asked = world.ledger.asked.get(op)?;
    let mut lives: BTreeMap<(String, Option<Epoch>), u32> = BTreeMap::new();
    for copy in &asked.executed {
        let known = world.ledger.copies.get(copy)?;
        // A TypeScript agent knows no epoch, and nothing of requests that are sent again.
        known.epoch?;
        *lives.entry((known.uuid.clone(), known.epoch)).or_default() += 1;
    }
    if let Some(((uuid, epoch), times)) = lives.iter().find(|(_, times)| **times > 1) {
        let epoch = text(*epoch);
        return Some(format!(
            "request {op} ran {times} times in {uuid}, epoch {epoch}"
        ));
    }
    let once = !asked.idempotent && !world.doubled_since(asked.at);
    (lives.len() > 1 && once)
        .then(|| format!("request {op} ran in {} lives of its container", lives.len()))
}

/// What is said of a request that did not run and will not.
fn has_not_run(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Interrupted
            | ErrorCode::Gone
            | ErrorCode::Busy
            | ErrorCode::TimedOut
            | ErrorCode::NoSuchContainer
            | ErrorCode::BadRequest
            | ErrorCode::NoSuitableAgent
            | ErrorCode::NoSuchKind
    )
}

pub(super) fn fits(world: &World, news: &News) -> Option<String> {
    let (News::Executed(op) | News::Done(op)) = news else {
        return None;
    };
    let asked = world.ledger.asked.get(op)?;
    let ran = asked.executed.len();
    match asked.outcome? {
        Outcome::Answer { .. } if ran == 0 => {
            Some(format!("request {op} was answered and did not run"))
        }
        Outcome::Answer { fits: false } => {
            Some(format!("request {op} got the answer to another one"))
        }
        // An idempotent one is sent again as if it had never been: it is said of its last try.
        Outcome::Error(Some(code)) if has_not_run(code) && ran > 0 && !asked.idempotent => {
            Some(format!("request {op} ran and failed with {code:?}"))
        }
        Outcome::Error(Some(ErrorCode::Failed | ErrorCode::Unknown) | None) => {
            Some(format!("request {op} failed without a reason"))
        }
        _ => None,
    }
}

pub(super) fn in_time(world: &World) -> Option<String> {
    let late = |by: ProcessId, deadline: Duration| {
        let process = world.process(by);
        let asked_of = process.program.is_some() && !process.paused;
        asked_of && world.now > deadline.max(process.awake_since) + LATE
    };
    let requests = world.ledger.unanswered.iter().filter_map(|op| {
        let asked = world.ledger.asked.get(op)?;
        late(asked.by, asked.deadline).then(|| format!("request {op} has no answer"))
    });
    let calls = world.ledger.open.iter().filter_map(|((by, call), at)| {
        let name = &world.process(*by).name;
        late(*by, *at).then(|| format!("call {call} of {name} has no answer"))
    });
    requests.chain(calls).next()
}

//! The law of how soon what is held is served: each fault has a time after which it is got over.

use std::time::Duration;

use huly_protocol::lease;

use super::crowds;
use super::verdict::{Verdict, each, unless};
use crate::program::Program;
use crate::scenario::{Scenario, Step};
use crate::world::World;

/// Silence after which a peer is gone, or in which the end of a connection is noticed at the latest.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a peer takes to dial and be greeted: it waits a quarter of a second, a dial half of one.
const DIAL: Duration = Duration::from_millis(800);
/// How often a TypeScript client pings.
const PLAIN_PING: Duration = Duration::from_secs(1);
/// How long a container waits that has ended again soon after its start.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How long five starts that fail one after another keep a container.
const FAILED: Duration = Duration::from_secs(16);
/// After which a TypeScript client tries a get again that failed.
const GET_AGAIN: Duration = Duration::from_secs(1);
/// What messages take, and what clocks differ.
const SLACK: Duration = Duration::from_millis(300);
/// Containers that a TypeScript client gets again, one after another.
const MOST_PLAIN: u32 = 4;

/// After a fault, when what is held is served: the old copy has ended, and a new one has started.
pub(crate) fn after(step: &Step, scenario: &Scenario) -> Duration {
    let Some(noticed) = noticed(step, scenario) else {
        return Duration::ZERO;
    };
    let manners = scenario.manners;
    let (slow, work) = (manners.slow_ms, manners.work_ms);
    let start = Duration::from_millis(slow) + SLACK;
    let failed = if manners.failing > 0 {
        FAILED
    } else {
        Duration::ZERO
    };
    let moved = Duration::from_millis(slow + work) + start + failed;
    let plain = match scenario.has_plain_clients() {
        true => GET_AGAIN + MOST_PLAIN * start,
        false => Duration::ZERO,
    };
    scenario.times.at_worst(noticed + moved + plain)
}

/// After a fault, when agents and the server have heard from each other what they are to hear, so
/// that those that are to end have been told so.
pub(crate) fn told_after(step: &Step, scenario: &Scenario) -> Duration {
    let noticed = noticed(step, scenario).unwrap_or_default();
    scenario.times.at_worst(noticed + SLACK)
}

/// After a fault, when all that it concerns is noticed; nothing where nobody has to.
fn noticed(step: &Step, scenario: &Scenario) -> Option<Duration> {
    let times = &scenario.times;
    let exclusive = scenario.breadth.has_exclusive();
    let leases = |lease: Duration| match exclusive {
        true => lease::surely_over(lease),
        false => Duration::ZERO,
    };
    let settle = times.settle;
    let grace = times.grace.max(times.plain_grace);
    // A container of an exclusive kind waits for the lease of its agent too.
    let grace = grace.max(leases(times.lease));
    let silence = SILENCE.max(leases(times.lease));
    Some(match step {
        Step::SetClock { .. } => return None,
        Step::LoseContainer(_) => SHORT_LIFE,
        // It goes on from where it is.
        Step::Join(_) | Step::Meet(_) | Step::Thaw(_) | Step::Slow { ms: 0, .. } => DIAL + grace,
        Step::Start(place) if place == "server" => {
            // Until then it does not know who is alone; of a kind that it does not know it waits as if
            // that were exclusive, where that can be.
            let leases = match scenario.operator {
                true => lease::surely_over(lease::LONGEST),
                false => leases(lease::LONGEST),
            };
            leases.max(2 * DIAL + settle)
        }
        Step::Start(_) => DIAL,
        Step::Leave(_) | Step::Crash { silent: false, .. } => grace,
        // From the first server's clients to the second one.
        Step::Single | Step::Double { .. } => silence + DIAL + settle,
        Step::Clog(_) | Step::Pause(_) | Step::Isolate(_) | Step::Part(_) | Step::Crash { .. } => {
            silence + DIAL
        }
        // It may have been cut, and is asked for a hello when it pings next.
        Step::Read { pace: None, .. } => PLAIN_PING + DIAL + grace,
        Step::Cut(_) | Step::Slow { .. } | Step::Read { .. } => silence + grace + DIAL,
        Step::SetKind(_) | Step::DeleteKind(_) | Step::LoseApi(_) | Step::FindApi(_) => {
            Duration::ZERO
        }
    })
}

pub(super) fn in_bound(world: &World) -> Verdict {
    if world.now < world.scenario.mended.max(world.served_by) || !world.restarts {
        return None;
    }
    let due = world.served_by.as_secs_f64();
    each(world.running().map(|(_, process, program)| {
        if matches!(program, Program::Server(_)) {
            return None;
        }
        let name = &process.name;
        let held = program.held().into_iter();
        let held = held.filter(|uuid| !world.scenario.is_beforehand(uuid));
        // Where there is no place for them nobody says how long they wait.
        let held = held.filter(|uuid| !crowds::is_rationed(world, uuid));
        each(held.map(|uuid| {
            let accepts = world.ledger.accepting.get(&uuid);
            unless(accepts.is_none_or(|copies| copies.is_empty()), || {
                format!("{name} holds {uuid}, which is not served, and should be by {due:.1} s")
            })
        }))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that docs/soundness.md names too.
    #[test]
    fn the_times_are_those_of_the_server() {
        let server = huly_registry::Config::new("", 0);
        assert_eq!(SILENCE, server.alive_timeout);
        assert_eq!(lease::LONGEST, server.former_lease);
    }
}

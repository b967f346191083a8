//! Laws of kinds' specifications.

use std::time::Duration;

use huly_protocol::KindSpec;

use super::ServerView;
use super::verdict::{Verdict, always, each, where_any};
use crate::ledger::News;
use crate::program::Program;
use crate::world::World;
use crate::world::faults::SERVERS_PAUSE;

/// How long after something happened to an agent the server sends it nothing again.
const AGAIN: Duration = Duration::from_secs(6);

pub(super) fn placed(world: &World, news: &News) -> Verdict {
    let News::Placed(by, placed) = news else {
        return None;
    };
    let (name, kind) = (&world.process(*by).name, &placed.kind);
    let spec = placed.spec.as_ref();
    let selects = spec.map(|spec| {
        let revision = spec.revision;
        let selects = spec.agent_selector.matches(&placed.labels);
        (!selects).then(|| {
            format!("revision {revision} of {kind} does not select {name}, which is to start one")
        })
    });
    // Over another connection the server says what holds by then, and starts what it was to start by
    // what held before.
    let calm = |place: &str| world.calm_for(place) > AGAIN;
    let once = calm(&world.process(*by).place) && calm("") && calm(SERVERS_PAUSE);
    let latest = placed.known.filter(|_| once).map(|known| {
        let revision = spec.map(|spec| spec.revision);
        (revision < Some(known)).then(|| {
            let by = of_revision(revision);
            format!("{name} is to start a {kind} by {by} and was told revision {known}")
        })
    });
    each([selects, latest].into_iter().flatten().map(always))
}

pub(super) fn known(world: &World, _: &ServerView) -> Verdict {
    let revision = |spec: Option<&KindSpec>| spec.map(|spec| spec.revision);
    each(world.running().map(|(_, process, program)| {
        let Program::Agent(agent) = program else {
            return None;
        };
        let said = |kind: &String| world.specs.get(kind);
        each(world.scenario.kinds.iter().map(|kind| {
            let known = agent.core().spec_of(kind);
            let wrong = (known != said(kind)).then(|| {
                format!(
                    "{} knows {} of {kind}, the operator says {}",
                    process.name,
                    of_revision(revision(known)),
                    of_revision(revision(said(kind))),
                )
            });
            where_any(said(kind).is_some(), wrong)
        }))
    }))
}

fn of_revision(revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("revision {revision}"),
        None => "no specification".to_owned(),
    }
}

//! Laws of kinds' specifications.

use huly_protocol::KindSpec;

use super::ServerView;
use crate::ledger::News;
use crate::program::Program;
use crate::world::World;

pub(super) fn placed(world: &World, news: &News) -> Option<String> {
    let News::Placed(by, placed) = news else {
        return None;
    };
    let (name, kind) = (&world.process(*by).name, &placed.kind);
    let spec = placed.spec.as_ref();
    if let Some(spec) = spec.filter(|spec| !spec.agent_selector.matches(&placed.labels)) {
        let revision = spec.revision;
        return Some(format!(
            "revision {revision} of {kind} does not select {name}, which is to start one"
        ));
    }
    let known = placed.known?;
    let revision = spec.map(|spec| spec.revision);
    (revision < Some(known)).then(|| {
        format!("{name} is to start a {kind} by revision {revision:?} and was told {known}")
    })
}

pub(super) fn known(world: &World, _: &ServerView) -> Option<String> {
    let revision = |spec: Option<&KindSpec>| spec.map(|spec| spec.revision);
    world.running().find_map(|(_, process, program)| {
        let Program::Agent(agent) = program else {
            return None;
        };
        let said = |kind: &String| world.specs.get(kind);
        let mut kinds = world.scenario.kinds.iter();
        let kind = kinds.find(|kind| agent.core().spec_of(kind) != said(kind))?;
        Some(format!(
            "{} knows revision {:?} of {kind}, the operator says {:?}",
            process.name,
            revision(agent.core().spec_of(kind)),
            revision(said(kind)),
        ))
    })
}

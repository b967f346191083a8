//! The law of what grows: how much of everything each core keeps, at every step, compared with what its
//! configuration allows and with what peers do. What is compared with another size of the same core
//! is so because that one is compared with these.

mod peers;
mod server;

use crate::laws::load::Load;
use crate::laws::verdict::{Verdict, each};
use crate::program::Program;
use crate::world::World;

/// What there is of something, and what there may be.
type Bound = (&'static str, usize, usize);

/// There is something to judge where one more of anything would be too much.
fn compared(bounds: &[Bound]) -> Verdict {
    let (wrong, reached) = (over(bounds), |(_, is, may): &Bound| *is > 0 && is == may);
    match wrong {
        Some(wrong) => Some(Err(wrong)),
        None => bounds.iter().any(reached).then_some(Ok(())),
    }
}

/// What is wrong with sizes that are compared with others of the same core: these say nothing of how
/// much there is.
fn consistent(bounds: &[Bound]) -> Verdict {
    over(bounds).map(Err)
}

fn over(bounds: &[Bound]) -> Option<String> {
    let (what, is, may) = bounds.iter().find(|(_, is, may)| is > may)?;
    Some(format!("{what}: {is}, and at most {may} are right"))
}

/// What is more than peers do. What is more than they do at least is as much as they do, if it is right.
fn by_load(world: &World, by: impl Fn(&Load) -> Verdict) -> Verdict {
    match by(&Load::at_least(world)) {
        Some(Err(_)) => by(&Load::of(world)).or(Some(Ok(()))),
        verdict => verdict,
    }
}

pub(super) fn within(world: &World, program: &Program) -> Verdict {
    let limits = &world.scenario.limits;
    match program {
        Program::Server(server) => {
            let sizes = server.sizes();
            let by_load = by_load(world, |load| compared(&server::by_load(load, &sizes)));
            let by_limits = compared(&server::by_limits(limits, &sizes));
            let by_sizes = consistent(&server::by_sizes(&sizes));
            each([by_load, by_limits, by_sizes].into_iter())
        }
        Program::Agent(agent) => {
            let (sizes, hosted) = (agent.core().sizes(), agent.hosted());
            let by_load = by_load(world, |load| {
                compared(&peers::agent_by_load(load, &sizes, hosted))
            });
            let by_limits = compared(&peers::agent_by_limits(limits, &sizes));
            let by_sizes = consistent(&peers::agent_by_sizes(&sizes));
            let session = peers::session(agent.link());
            each([by_load, by_limits, by_sizes, session].into_iter())
        }
        Program::Client(client) => {
            let links = client.direct_links().into_iter().chain([client.link()]);
            let by_load = by_load(world, |load| compared(&peers::client(load, client)));
            each([by_load].into_iter().chain(links.map(peers::session)))
        }
        Program::Operator(operator) => {
            let by_load = by_load(world, |load| compared(&peers::operator(load, operator)));
            each([by_load, peers::session(operator.link())].into_iter())
        }
        // These are models themselves.
        Program::PlainAgent(_) | Program::PlainClient(_) => None,
    }
}

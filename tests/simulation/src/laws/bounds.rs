//! The law of what grows: how much of everything each core keeps, at every step, compared with what its
//! configuration allows and with what peers do. What is compared with another size of the same core
//! is so because that one is compared with these.

mod peers;
mod server;

use crate::laws::load::Load;
use crate::program::Program;
use crate::world::World;

/// What there is of something, and what there may be.
type Bound = (&'static str, usize, usize);

fn over(bounds: &[Bound]) -> Option<String> {
    let (what, is, may) = bounds.iter().find(|(_, is, may)| is > may)?;
    Some(format!("{what}: {is}, and at most {may} are right"))
}

/// What is more than peers do.
fn over_load(world: &World, by: impl Fn(&Load) -> Option<String>) -> Option<String> {
    by(&Load::at_least(world))?;
    by(&Load::of(world))
}

pub(super) fn within(world: &World, program: &Program) -> Option<String> {
    let limits = &world.scenario.limits;
    match program {
        Program::Server(server) => {
            let sizes = server.sizes();
            over_load(world, |load| over(&server::by_load(load, &sizes)))
                .or_else(|| over(&server::by_limits(limits, &sizes)))
        }
        Program::Agent(agent) => {
            let (sizes, hosted) = (agent.core().sizes(), agent.hosted());
            over_load(world, |load| {
                over(&peers::agent_by_load(load, &sizes, hosted))
            })
            .or_else(|| over(&peers::agent_by_limits(limits, &sizes)))
            .or_else(|| over(&peers::session(agent.link())))
        }
        Program::Client(client) => {
            let links = client.direct_links().into_iter().chain([client.link()]);
            let mut sessions = links.map(peers::session);
            over_load(world, |load| over(&peers::client(load, client)))
                .or_else(|| sessions.find_map(|of| over(&of)))
        }
        Program::Operator(operator) => {
            over_load(world, |load| over(&peers::operator(load, operator)))
                .or_else(|| over(&peers::session(operator.link())))
        }
        // These are models themselves.
        Program::PlainAgent(_) | Program::PlainClient(_) => None,
    }
}

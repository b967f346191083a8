//! The law of agents and clients that are in touch.

use std::time::Duration;

use super::verdict::{Verdict, unless};
use crate::ledger::News;
use crate::program::Program;
use crate::wire::WireId;
use crate::world::{Process, ProcessId, World};

/// How long nothing may have happened to a peer, nor to its way to the server, so that it is in touch:
/// the alive timeout of 3 s, and what connecting again takes.
const IN_TOUCH: Duration = Duration::from_secs(6);

/// What it takes at most to connect again.
const CONNECTING: Duration = Duration::from_millis(850);

pub(super) fn kept(world: &World, news: &News) -> Verdict {
    match news {
        News::GaveUp {
            server,
            agent,
            silent,
        } => agent_kept(world, *server, agent, *silent),
        News::AsksWho { server, wire, peer } => client_kept(world, *server, *wire, *peer),
        _ => None,
    }
}

fn agent_kept(world: &World, server: ProcessId, agent: &str, silent: bool) -> Verdict {
    // A TypeScript agent does not see that its connection is dead.
    let (place, _) = agent.rsplit_once('.')?;
    if !place.starts_with("agent-") {
        return None;
    }
    // One that is gone may be given up when another has its place.
    let there = world.at(place).map(|id| world.process(id))?;
    let is_it = matches!(&there.program, Some(Program::Agent(there)) if there.id() == agent);
    // A shorter grace than it takes to connect again nobody keeps.
    let grace = world.scenario.times.at_best(world.scenario.times.grace);
    if !silent && grace < CONNECTING {
        return None;
    }
    let server = world.process(server);
    unless(is_it && in_touch(world, server, there), || {
        format!("{} gave up {agent}, which was in touch", server.name)
    })
}

/// Over its present connection, on which it says hello first, a client is asked who it is only when its
/// session is over: what it held was let go.
fn client_kept(world: &World, server: ProcessId, wire: WireId, client: ProcessId) -> Verdict {
    let (server, client) = (world.process(server), world.process(client));
    let Some(Program::Client(program)) = &client.program else {
        return None;
    };
    let is_present = program.link().wire() == Some(wire);
    let stays = is_present && !program.has_left();
    unless(stays && in_touch(world, server, client), || {
        let (server, client) = (&server.name, &client.name);
        format!("{server} gave up {client}, which was in touch")
    })
}

/// Whether a peer and a server hear each other, and have for long enough.
fn in_touch(world: &World, server: &Process, peer: &Process) -> bool {
    let reaches = !peer.paused && !world.is_apart(peer);
    let calm = |place: &str| world.calm_for(place) > IN_TOUCH;
    let runs = world.now.saturating_sub(server.started) > IN_TOUCH;
    let is_alone = !world.doubled_since(world.now.saturating_sub(IN_TOUCH));
    reaches && calm(&peer.place) && calm("server") && runs && is_alone
}

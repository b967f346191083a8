//! Laws of what is kept.

use super::standbys::is_stateless;
use super::verdict::{Verdict, where_any};
use super::{ServerView, crowds};
use crate::program::Program;
use crate::program::server::Server;
use crate::world::World;

/// Where anything was asked there is something that may be under way still.
pub(super) fn bounded(world: &World, view: &ServerView) -> Verdict {
    where_any(!world.ledger.asked.is_empty(), idle(world, view))
}

fn idle(world: &World, view: &ServerView) -> Option<String> {
    let sessions = view.snapshot.sessions.0 + view.snapshot.sessions.1;
    let running = world.running().filter(|(_, _, program)| match program {
        Program::Server(_) => false,
        Program::Operator(operator) => operator.is_active(),
        _ => true,
    });
    let peers = running.count();
    if sessions != peers {
        return Some(format!(
            "the server has {sessions} sessions of {peers} peers"
        ));
    }
    under_way(world)
}

/// What somebody has not done with.
pub(crate) fn under_way(world: &World) -> Option<String> {
    world.running().find_map(|(_, process, program)| {
        let mut all = match program {
            Program::Server(server) => of_server(world, server),
            Program::Client(client) => vec![("calls", client.pending())],
            Program::PlainClient(client) => vec![("calls", client.pending())],
            Program::Operator(operator) => {
                vec![("calls", operator.link().session().pending())]
            }
            Program::Agent(agent) => {
                let sizes = agent.core().sizes();
                vec![
                    ("calls", agent.link().session().pending()),
                    ("requests", sizes.calls),
                    ("starts that wait", sizes.held_starts),
                    ("requests of clients of its ROUTERs", sizes.direct_in_flight),
                    ("answers to send", agent.link().session().sizes().unsent),
                ]
            }
            Program::PlainAgent(agent) => vec![("calls", agent.pending())],
        };
        all.retain(|(_, count)| *count > 0);
        (!all.is_empty()).then(|| {
            let all: Vec<String> = all
                .iter()
                .map(|(what, count)| format!("{count} {what}"))
                .collect();
            format!("{} has under way: {}", process.name, all.join(", "))
        })
    })
}

fn of_server(world: &World, server: &Server) -> Vec<(&'static str, usize)> {
    let (sizes, snapshot) = (server.sizes(), server.snapshot());
    let waiting = snapshot.waiting.iter().filter(|(_, count)| **count > 0);
    let (placeless, waiting): (Vec<_>, Vec<_>) =
        waiting.partition(|(kind, _)| crowds::is_full(world, kind));
    let waiting = waiting.into_iter().map(|(_, count)| count).sum();
    // What waits for a place is among them.
    let bytes = if placeless.is_empty() {
        snapshot.held.1
    } else {
        0
    };
    vec![
        ("calls to agents", sizes.calls),
        ("requests and gets", sizes.in_flight),
        ("gets that wait", sizes.waiters + sizes.early_gets),
        ("requests held", sizes.held),
        ("bytes held", bytes),
        ("bytes of requests at agents", snapshot.call_bytes),
        ("containers that wait", waiting),
        ("containers in begun registrations", snapshot.chunked),
        ("containers that nobody got", sizes.unknown),
        ("leases that nothing lives under", sizes.fences_alone),
    ]
}

/// Where there was something to let go of, it may be left.
pub(super) fn empty(world: &World, view: &ServerView) -> Verdict {
    let wrong = left(world, view).or_else(|| idle(world, view));
    where_any(world.laws.had, wrong)
}

/// What is not to be there any more once everything was let go.
pub(super) fn left(world: &World, view: &ServerView) -> Option<String> {
    let ends = |uuid: &str| !is_stateless(world, uuid);
    if let Some(record) = view.containers.iter().find(|record| ends(&record.uuid)) {
        return Some(format!("the server still knows {}", record.uuid));
    }
    let references: usize = view.snapshot.references.values().sum();
    if references > 0 {
        return Some(format!("the server still knows {references} references"));
    }
    let mut accepting = world.ledger.accepting.iter();
    if let Some((uuid, copies)) = accepting.find(|(uuid, c)| !c.is_empty() && ends(uuid)) {
        return Some(format!("{uuid} still accepts, {} times", copies.len()));
    }
    None
}

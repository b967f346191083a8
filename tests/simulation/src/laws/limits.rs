//! Laws of what is kept.

use super::ServerView;
use super::standbys::is_stateless;
use crate::program::Program;
use crate::world::World;

pub(super) fn idle(world: &World, view: &ServerView) -> Option<String> {
    let snapshot = &view.snapshot;
    if snapshot.calls > 0 || snapshot.held != (0, 0) {
        let (calls, held) = (snapshot.calls, snapshot.held);
        return Some(format!("the server has {calls} calls and holds {held:?}"));
    }
    if let Some((kind, waiting)) = snapshot.waiting.iter().find(|(_, waiting)| **waiting > 0) {
        return Some(format!("{waiting} of kind {kind} wait for an agent"));
    }
    let sessions = snapshot.sessions.0 + snapshot.sessions.1;
    let running = world
        .running()
        .filter(|(_, _, program)| !matches!(program, Program::Server(_)));
    let peers = running.count();
    if sessions != peers {
        return Some(format!(
            "the server has {sessions} sessions of {peers} peers"
        ));
    }
    world.running().find_map(|(_, process, program)| {
        let under_way = match program {
            Program::Client(client) => client.pending(),
            Program::Agent(agent) => agent.core().figures().waiting,
            Program::PlainClient(client) => client.pending(),
            Program::Server(_) | Program::Operator(_) | Program::PlainAgent(_) => 0,
        };
        (under_way > 0).then(|| format!("{} has {under_way} under way", process.name))
    })
}

pub(super) fn empty(world: &World, view: &ServerView) -> Option<String> {
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
    idle(world, view)
}

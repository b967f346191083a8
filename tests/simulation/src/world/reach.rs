//! Who reaches whom.

use std::time::Duration;

use super::{Process, World};
use crate::program::Program;

impl World {
    /// Whether every agent reaches the one server there is, and has for as long as they take to tell
    /// each other what happened before.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told_since(self.now)
    }

    /// The same, already then.
    pub(crate) fn is_told_since(&self, since: Duration) -> bool {
        since >= self.told_by && self.every_agent_reaches()
    }

    /// Whether agents and the server go on, and nothing is between them.
    fn every_agent_reaches(&self) -> bool {
        let one = self.at("server").is_some() && self.routes.is_empty();
        let mut places = self.present.iter().filter(|(place, _)| is_of_copies(place));
        one && places.all(|(place, id)| {
            let process = self.process(*id);
            self.slow.get(place).is_none_or(|ms| *ms == 0)
                && !process.paused
                && !self.is_apart(process)
                && !self.is_with_another(process)
        })
    }

    /// Whether nothing comes to a process from the server, or from anybody.
    pub(crate) fn is_apart(&self, process: &Process) -> bool {
        self.isolated.contains(&process.place)
            || self.parted.contains(&process.place)
            || self.is_cut_off(process)
    }

    /// Whether an agent or client is connected to a server that is not the present one.
    pub(crate) fn is_with_another(&self, process: &Process) -> bool {
        let wire = match &process.program {
            Some(Program::Agent(agent)) => agent.link().wire(),
            Some(Program::PlainAgent(agent)) => agent.wire(),
            Some(Program::Client(client)) => client.link().wire(),
            Some(Program::PlainClient(client)) => client.wire(),
            _ => None,
        };
        let server = wire.and_then(|wire| self.listener(wire));
        server.is_some_and(|server| self.at("server") != Some(server))
    }

    /// A TypeScript peer whose connection is dead and that knows nothing of it: it acts on no missing
    /// pong, and TCP gives up late (W22).
    fn is_cut_off(&self, process: &Process) -> bool {
        let wire = match &process.program {
            Some(Program::PlainClient(client)) => client.wire(),
            Some(Program::PlainAgent(agent)) => agent.wire(),
            _ => None,
        };
        wire.is_some_and(|wire| self.listener(wire).is_none())
    }
}

/// Whether what has a place has containers, or says who has.
fn is_of_copies(place: &str) -> bool {
    let (role, _) = place.split_once('-').unwrap_or((place, ""));
    matches!(role, "server" | "agent" | "tsagent")
}

//! How much peers do: what there is of it now, and what ended so short a time ago that somebody may
//! not have heard. Programs may keep as much and no more, whatever else they keep.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::program::operator::OPERATOR;
use crate::world::World;

/// In which everybody has heard of an end: a server that was paused or isolated, for five seconds at
/// most, hears of it late, a silent peer is given up after three, a request ends after eight, and a
/// container without references after nine.
const HEARD: Duration = Duration::from_secs(20);

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Processes that are no server, and of these agents and clients.
    pub(super) peers: usize,
    pub(super) agents: usize,
    pub(super) clients: usize,
    /// Clients that there have been.
    pub(super) clients_ever: usize,
    /// Requests to containers without an answer.
    pub(super) requests: usize,
    /// Gets and releases without one.
    pub(super) calls: usize,
    /// Containers that run, are held or may be held.
    pub(super) uuids: usize,
    /// What all clients hold, each as often as one does.
    pub(super) held: usize,
    /// Kinds, those of containers that are made beforehand too.
    pub(super) kinds: usize,
    /// What the operator wants.
    pub(super) wanted: usize,
    /// Clients of which a fencing number is known.
    pub(super) fenced: usize,
}

impl Load {
    /// As much of it as is counted quickly: never more than there is.
    pub(super) fn at_least(world: &World) -> Self {
        let (scenario, ledger) = (&world.scenario, &world.ledger);
        let since = world.now.saturating_sub(HEARD);
        let calls = ledger.gets.len() + ledger.called.since(since);
        let mut load = Self {
            requests: ledger.unanswered.len() + ledger.answered.since(since),
            calls,
            uuids: scenario.uuids.len() + calls,
            kinds: scenario.kinds.len() + 1,
            wanted: scenario.wanted.len(),
            fenced: usize::from(scenario.rivals),
            ..Self::default()
        };
        for process in &world.processes {
            let (role, _) = process
                .place
                .split_once('-')
                .unwrap_or((&process.place, ""));
            let is_client = matches!(role, "client" | "tsclient");
            load.clients_ever += usize::from(is_client);
            let lately = process.ended.is_some_and(|at| at >= since);
            if role == "server" || (process.program.is_none() && !lately) {
                continue;
            }
            load.peers += 1;
            load.agents += usize::from(matches!(role, "agent" | "tsagent"));
            load.clients += usize::from(is_client);
            load.held += process.left;
            load.calls += process.left_calls;
        }
        load
    }

    pub(super) fn of(world: &World) -> Self {
        let mut load = Self::at_least(world);
        let since = world.now.saturating_sub(HEARD);
        let uuids = world.scenario.uuids.iter().map(|(uuid, _)| uuid.clone());
        let mut uuids: BTreeSet<String> = uuids.collect();
        uuids.extend(world.ledger.alive_since(since).map(str::to_owned));
        for (_, process, program) in world.running() {
            uuids.extend(program.held());
            load.held += program.may_hold();
            load.calls += program.unseen_calls();
            // It has what those had that came before under its id.
            if process.heir {
                let place = &process.place;
                let before = world.processes.iter().filter(|one| one.place == *place);
                load.held += before.map(|one| one.left).sum::<usize>();
            }
        }
        // Nor of this one's, whose session a server may keep that has not heard of its end.
        let mut operators = world.processes.iter();
        let is_one = |place: &str| place.starts_with(OPERATOR);
        if operators.any(|one| is_one(&one.place) && one.ended.is_none_or(|at| at >= since)) {
            load.calls += load.wanted;
        }
        load.uuids = uuids.len() + load.calls;
        load
    }
}

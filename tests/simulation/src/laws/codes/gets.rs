//! What the codes say with which gets fail.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{ErrorCode, KindSpec};

use super::last_word;
use crate::ledger::Get;
use crate::program::Program;
use crate::scenario::breadth::{Beforehand, STATELESS, ZONE, zone_of};
use crate::scenario::{Scenario, Step};
use crate::world::{Process, World};

/// How long an agent that leaves takes at most.
const LEAVES: Duration = Duration::from_secs(12);

/// What is wrong with how a get failed.
pub(super) fn wrong(world: &World, get: &Get, code: ErrorCode) -> Option<&'static str> {
    let early = get.deadline.saturating_sub(world.now);
    // Nothing has happened while it was asked that peers had not got over.
    let calm = world.is_told_since(get.at) && !world.is_with_another(world.process(get.by));
    match code {
        // A start that a specification gives less time may be over before, also one that began before
        // it was asked for.
        ErrorCode::TimedOut if early > last_word(world) && !has_start_timeout(world, get) => {
            Some("its time is not over")
        }
        ErrorCode::NoSuchKind if calm && offering(world, get).next().is_some() => {
            Some("an agent offers the kind")
        }
        ErrorCode::NoSuchKind if is_specified(world, get) => Some("a specification names the kind"),
        ErrorCode::NoSuitableAgent if !is_known(world, get) => Some("nobody offers the kind"),
        ErrorCode::NoSuitableAgent if calm && takes_one(world, get) => {
            Some("an agent that may have the container is there")
        }
        // A start that fails says so by its own words.
        ErrorCode::Failed if !starts_fail(world, get) => Some("no start fails"),
        ErrorCode::Busy if calm && world.scenario.limits.has_room() => Some("there is room"),
        ErrorCode::Interrupted if calm => Some("nothing is interrupted"),
        ErrorCode::TimedOut
        | ErrorCode::NoSuchKind
        | ErrorCode::NoSuitableAgent
        | ErrorCode::Failed
        | ErrorCode::Busy
        | ErrorCode::Interrupted => None,
        _ => Some("which says nothing of a get"),
    }
}

/// The agents that offer the kind.
fn offering<'a>(world: &'a World, get: &'a Get) -> impl Iterator<Item = &'a Process> {
    let stateless = get.kind == STATELESS.1;
    let ours = !stateless || world.scenario.breadth.beforehand == Some(Beforehand::Kind);
    let server = world.at("server");
    let agents = world.running().filter(move |(id, _, program)| {
        let offers = match program {
            Program::Agent(_) => ours,
            Program::PlainAgent(_) => !stateless,
            _ => false,
        };
        let registered = server.and_then(|server| world.ledger.registered.get(&(*id, server)));
        offers && registered.is_some_and(|at| *at < get.at)
    });
    agents.map(|(_, process, _)| process)
}

/// Whether the server that the client asked knew a specification of the kind all the time: one that is
/// there from the beginning on, and was not deleted, the operator says whenever it says what there is.
fn is_specified(world: &World, get: &Get) -> bool {
    let mut steps = world.scenario.steps.iter();
    let deleted = steps.any(|(at, step)| {
        *at <= world.now && matches!(step, Step::DeleteKind(kind) if *kind == get.kind)
    });
    let mut specs = world.scenario.breadth.specs.iter();
    let server = world.at("server");
    let said = server.and_then(|server| world.ledger.kinds_said.get(&server));
    let asked_it = !world.is_with_another(world.process(get.by));
    let told = asked_it && said.is_some_and(|at| *at < get.at);
    told && !deleted && specs.any(|spec| spec.kind == get.kind)
}

/// Whether an agent may offer the kind, or a specification name it.
fn is_known(world: &World, get: &Get) -> bool {
    let beforehand = world.scenario.breadth.beforehand;
    get.kind != STATELESS.1 || beforehand == Some(Beforehand::Kind)
}

/// Whether an agent takes a container of the kind, whatever specification of it is known.
fn takes_one(world: &World, get: &Get) -> bool {
    offering(world, get).any(|agent| {
        let labels = match &agent.program {
            Some(Program::Agent(_)) => [(ZONE.to_owned(), zone_of(&agent.place).to_owned())].into(),
            _ => BTreeMap::new(),
        };
        let stays = world.calm_for(&agent.place) > LEAVES;
        let mut specs = specs(&world.scenario, get);
        stays
            && specs
                .all(|spec| spec.agent_selector.matches(&labels) && spec.max_per_agent.is_none())
    })
}

/// Whether starts may fail, or one ended meanwhile by itself; a TypeScript agent says more than that by
/// an error.
fn starts_fail(world: &World, get: &Get) -> bool {
    let scenario = &world.scenario;
    let ended = |(at, step): &(Duration, Step)| {
        matches!(step, Step::LoseContainer(_)) && (get.at..=world.now).contains(at)
    };
    scenario.manners.failing > 0 || scenario.has_plain_agents() || scenario.steps.iter().any(ended)
}

/// Whether a specification says how long a start may take.
fn has_start_timeout(world: &World, get: &Get) -> bool {
    specs(&world.scenario, get).any(|spec| spec.start_timeout_ms.is_some())
}

/// The specifications of the kind, at the beginning or later.
fn specs<'a>(scenario: &'a Scenario, get: &'a Get) -> impl Iterator<Item = &'a KindSpec> {
    let later = scenario.steps.iter().filter_map(|(_, step)| match step {
        Step::SetKind(spec) => Some(&**spec),
        _ => None,
    });
    let all = scenario.breadth.specs.iter().chain(later);
    all.filter(|spec| spec.kind == get.kind)
}

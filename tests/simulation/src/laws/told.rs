//! Laws of what the server tells: subscribers of the feed, and those who hold containers.

use std::collections::BTreeMap;

use huly_protocol::{AgentInfo, ContainerRecord};
use serde::Serialize;

use super::ServerView;
use super::verdict::{Verdict, always, each, unless};
use crate::program::Program;
use crate::program::feed::Belief;
use crate::world::World;

pub(super) fn feed(world: &World, view: &ServerView) -> Verdict {
    each(world.running().map(|(_, process, program)| {
        let wrong = differs(program.belief()?, view);
        always(wrong.map(|wrong| format!("{}: {wrong}", process.name)))
    }))
}

/// What is wrong with what a subscriber believes.
fn differs(belief: &Belief, view: &ServerView) -> Option<String> {
    if belief.gap.is_some() {
        return belief.gap.clone();
    }
    if !belief.whole {
        return Some("it has no whole snapshot".to_owned());
    }
    if belief.settled == view.snapshot.settling {
        return Some(format!("it takes settled for {}", belief.settled));
    }
    let agents = view.agents.iter().map(|agent| {
        let agent = lasting_agent(agent);
        (agent.agent_id.clone(), agent)
    });
    let containers = view.containers.iter().map(|record| {
        let record = lasting(record);
        (record.uuid.clone(), record)
    });
    let believed = belief.agents.iter();
    let believed = believed.map(|(id, agent)| (id.clone(), lasting_agent(agent)));
    difference(believed.collect(), agents.collect()).or_else(|| {
        let believed = belief.containers.iter();
        let believed = believed.map(|(uuid, record)| (uuid.clone(), lasting(record)));
        difference(believed.collect(), containers.collect())
    })
}

fn difference<T: PartialEq + Serialize>(
    believed: BTreeMap<String, T>,
    known: BTreeMap<String, T>,
) -> Option<String> {
    let mut all = believed.keys().chain(known.keys());
    let name = all.find(|name| believed.get(*name) != known.get(*name))?;
    let said = |of: Option<&T>| match of.map(serde_json::to_string) {
        Some(said) => said.unwrap_or_default(),
        None => "nothing".to_owned(),
    };
    let (believed, known) = (said(believed.get(name)), said(known.get(name)));
    Some(format!(
        "it believes of {name}: {believed}; the server: {known}"
    ))
}

/// Without what changes all the time and is told with the next event only.
fn lasting_agent(agent: &AgentInfo) -> AgentInfo {
    let mut agent = agent.clone();
    agent.containers = 0;
    if let Some(ext) = &mut agent.huly {
        ext.containers_by_kind.clear();
        ext.standbys_by_kind.clear();
    }
    agent
}

fn lasting(record: &ContainerRecord) -> ContainerRecord {
    let mut record = record.clone();
    record.last_visit = 0.0;
    if let Some(ext) = &mut record.huly {
        ext.references = None;
        // Known late where a TypeScript client gets again what its agent says nothing of.
        ext.first_client = None;
    }
    record
}

pub(super) fn connections(world: &World, _: &ServerView) -> Verdict {
    each(world.running().map(|(_, process, program)| {
        let Program::Client(client) = program else {
            return None;
        };
        each(client.connections().into_iter().map(|(uuid, wire)| {
            let leads_to = wire.and_then(|wire| world.listener(wire));
            let accepting = world.ledger.accepting(&uuid);
            let there = accepting.iter().any(|((process, run), _)| {
                let agent = match &world.process(*process).program {
                    Some(Program::Agent(agent)) => Some(agent),
                    _ => None,
                };
                let by = agent
                    .zip(wire)
                    .is_some_and(|(agent, wire)| agent.leads_to(wire, *run));
                Some(*process) == leads_to && by
            });
            let name = &process.name;
            let to = leads_to.map_or("nobody", |id| &world.process(id).name);
            unless(!there, || format!("{name} is connected to {uuid} at {to}"))
        }))
    }))
}

pub(super) fn whereabouts(world: &World, view: &ServerView) -> Verdict {
    let known: BTreeMap<&str, &str> = view
        .containers
        .iter()
        .map(|record| (record.uuid.as_str(), record.endpoint.as_str()))
        .collect();
    each(world.running().map(|(_, process, program)| {
        each(program.whereabouts().into_iter().map(|(uuid, believed)| {
            let (name, known) = (&process.name, known.get(uuid.as_str()).copied());
            unless(known != believed.as_deref(), || {
                let (believed, known) = (
                    believed.as_deref().unwrap_or("no place"),
                    known.unwrap_or("no place"),
                );
                format!("{name} holds {uuid} and believes it at {believed}; the server: {known}")
            })
        }))
    }))
}

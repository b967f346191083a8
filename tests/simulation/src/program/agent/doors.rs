//! The ROUTERs that clients connect to: the agent's own, and those of containers that listen
//! themselves.

use std::collections::{BTreeMap, BTreeSet};

use huly_agent::core::{Conn, Door, Input, Run};
use huly_protocol::{AGENT_PORT, Frame};

use super::AgentProgram;
use crate::program::{Action, Came, Context};
use crate::sabotage::Sabotage;
use crate::wire::WireId;

/// The first port of those that containers listen on. A port that is free is taken again soon: who
/// dials it late meets another container.
const FIRST_PORT: u16 = 20_000;

#[derive(Debug, Default)]
pub(super) struct Doors {
    /// The kind whose containers listen themselves.
    own: Option<String>,
    /// Containers of that kind that have not said their port yet.
    starting: BTreeSet<Run>,
    ports: BTreeMap<u16, Run>,
    wires: BTreeMap<WireId, Door>,
}

impl Doors {
    pub(super) fn new(own: Option<String>) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }

    /// A container begins to start.
    pub(super) fn starts(&mut self, run: Run, kind: &str) {
        if self.own.as_deref() == Some(kind) {
            self.starting.insert(run);
        }
    }

    /// What is to be said before a report of a container: that it listens.
    pub(super) fn before(&mut self, report: &Input) -> Option<Input> {
        let Input::Started {
            run,
            result: Ok(()),
        } = report
        else {
            return None;
        };
        if !self.starting.remove(run) {
            return None;
        }
        let mut ports = FIRST_PORT..;
        let port = ports.find(|port| !self.ports.contains_key(port))?;
        self.ports.insert(port, *run);
        Some(Input::Opened { run: *run, port })
    }

    fn at(&self, port: u16) -> Option<Door> {
        match port {
            AGENT_PORT => Some(Door::Agent),
            port => self.ports.get(&port).copied().map(Door::Container),
        }
    }
}

impl AgentProgram {
    /// What comes through a door is for the core; the rest is left.
    pub(super) fn take_door(&mut self, cx: &mut Context, came: Came) -> Option<Came> {
        let doors = &mut self.doors;
        match came {
            Came::Knocked { wire, port } => match doors.at(port).map(|door| {
                let other = doors.ports.values().next().copied();
                match (door, other) {
                    (Door::Container(_), Some(other)) if cx.does(Sabotage::MixDoors) => {
                        Door::Container(other)
                    }
                    _ => door,
                }
            }) {
                Some(door) => drop(doors.wires.insert(wire, door)),
                None => cx.actions.push(Action::Close { wire }),
            },
            Came::Frame { wire, frame } => {
                let Some(door) = doors.wires.get(&wire).copied() else {
                    return Some(Came::Frame { wire, frame });
                };
                let conn = conn(door, wire);
                self.inputs.push_back(Input::Message { conn, frame });
            }
            Came::Closed { wire } if doors.wires.contains_key(&wire) => {
                if let Some(door) = doors.wires.remove(&wire) {
                    let conn = conn(door, wire);
                    self.inputs.push_back(Input::Closed { conn });
                }
            }
            came => return Some(came),
        }
        None
    }

    /// Whether a connection leads to a container: by its own ROUTER, where it has one, else by the
    /// agent's.
    pub(crate) fn leads_to(&self, wire: WireId, run: u64) -> bool {
        let own = self.doors.ports.values().any(|of| of.0 == run);
        match self.doors.wires.get(&wire) {
            Some(Door::Agent) => !own,
            Some(Door::Container(of)) => of.0 == run,
            None => false,
        }
    }

    pub(super) fn send_to_client(&mut self, cx: &mut Context, conn: &Conn, frame: Frame) {
        let wire = WireId::of_name(&conn.name);
        if let Some(wire) = wire.filter(|wire| self.doors.wires.contains_key(wire)) {
            cx.send(wire, frame);
        }
    }

    /// A container that listened itself has ended.
    pub(super) fn close_door(&mut self, cx: &mut Context, run: Run) {
        let doors = &mut self.doors;
        doors.ports.retain(|_, of| *of != run);
        let closed = doors
            .wires
            .extract_if(.., |_, door| *door == Door::Container(run));
        for (wire, _) in closed {
            cx.actions.push(Action::Close { wire });
        }
    }
}

fn conn(door: Door, wire: WireId) -> Conn {
    let name = wire.name();
    Conn { door, name }
}

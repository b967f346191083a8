//! Clients that want containers' events: they say so on the agent's own ROUTER, and are those of a
//! container's.

use std::collections::BTreeSet;

use bytes::Bytes;
use huly_protocol::{ErrorCode, ErrorPayload, Frame, Json, Op};

use super::session::Sessions;
use super::types::{Audience, Conn, Door, Effect, Id, Run};
use super::{Agent, error, json};

impl Agent {
    /// `cc`: answers how many of the containers there are.
    pub(super) fn connect(&mut self, client: &Id, uuids: Vec<String>) -> Json {
        let mut found = 0;
        for uuid in uuids {
            let known = self.containers.get_mut(uuid.as_str());
            let Some(container) = known.filter(|container| !container.is_standby()) else {
                continue;
            };
            found += 1;
            let uuid = container.uuid.clone();
            if container.connected.insert(client.clone()) {
                if let Some(session) = self.doors.agent().get_mut(client) {
                    session.containers.insert(uuid.clone());
                }
                self.tell_connected(&uuid, client);
            }
        }
        json(&found)
    }

    pub(super) fn disconnect(&mut self, client: &Id, uuid: &str) -> Result<Json, ErrorPayload> {
        let Some(container) = self.containers.get_mut(uuid) else {
            let message = format!("there is no container {uuid}");
            return Err(error(ErrorCode::NoSuchContainer, message));
        };
        if container.connected.remove(client) {
            let uuid = container.uuid.clone();
            self.doors.agent().unsubscribe(client, &uuid);
            self.tell_disconnected(&uuid, client);
        }
        Ok(json("ok"))
    }

    pub(super) fn tell_connected(&mut self, uuid: &Id, client: &Id) {
        // One that is starting, or stands by, is told of its clients when it has.
        if let Some(container) = self.containers.get(uuid).filter(|c| c.serves()) {
            let (run, client) = (container.run, client.clone());
            self.effect(Effect::Connected { run, client });
        }
    }

    pub(super) fn tell_disconnected(&mut self, uuid: &Id, client: &Id) {
        if let Some(container) = self.containers.get(uuid).filter(|c| c.serves()) {
            let (run, client) = (container.run, client.clone());
            self.effect(Effect::Disconnected { run, client });
        }
    }

    /// Who is connected to a container and there, by either ROUTER.
    pub(super) fn present_clients(&self, uuid: &str) -> BTreeSet<Id> {
        let Some(container) = self.containers.get(uuid) else {
            return BTreeSet::new();
        };
        let agent = self.doors.get(Door::Agent);
        let connected = container.connected.iter();
        let connected = connected.filter(|client| agent.is_some_and(|all| all.is_present(client)));
        let own = self.doors.get(Door::Container(container.run));
        let own = own.into_iter().flat_map(Sessions::clients);
        connected.chain(own).cloned().collect()
    }

    /// An event of a container to those of its clients who have a connection. On the agent's ROUTER
    /// it names the container.
    pub(super) fn event(&mut self, run: Run, to: &Audience, data: &Json) {
        let Some(uuid) = self.runs.get(&run) else {
            return;
        };
        let Some(container) = self.containers.get(uuid) else {
            return;
        };
        let connected: Vec<Id> = match to {
            Audience::All => container.connected.iter().cloned().collect(),
            Audience::Client(client) => container
                .connected
                .get(client)
                .cloned()
                .into_iter()
                .collect(),
        };
        if !connected.is_empty() {
            let payload = json(&(&**uuid, data)).into_bytes();
            self.event_at(Door::Agent, connected, payload);
        }
        let own = Door::Container(run);
        if let Some(sessions) = self.doors.get(own) {
            let clients: Vec<Id> = match to {
                Audience::All => sessions.clients().cloned().collect(),
                Audience::Client(client) => vec![client.clone()],
            };
            self.event_at(own, clients, data.clone().into_bytes());
        }
    }

    fn event_at(&mut self, door: Door, clients: Vec<Id>, payload: Bytes) {
        for client in clients {
            let sessions = self.doors.get_mut(door);
            let session = sessions.and_then(|sessions| sessions.get_mut(&client));
            if let Some(name) = session.and_then(|session| session.conn.clone()) {
                let frame = Frame::new(Op::Event, "", payload.clone());
                self.send(Conn { door, name }, frame);
            }
        }
    }
}

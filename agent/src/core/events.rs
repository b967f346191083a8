//! Clients of the agent's own ROUTER that want containers' events.

use huly_protocol::{ErrorCode, ErrorPayload, Frame, Json, Op};

use super::types::{Audience, Effect, Id, Run};
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
                if let Some(session) = self.sessions.get_mut(client) {
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
            self.sessions.unsubscribe(client, &uuid);
            self.tell_disconnected(&uuid, client);
        }
        Ok(json("ok"))
    }

    pub(super) fn tell_connected(&mut self, uuid: &Id, client: &Id) {
        // One that is starting is told of its clients when it has.
        if let Some(container) = self.containers.get(uuid).filter(|c| c.is_live()) {
            let (run, client) = (container.run, client.clone());
            self.effect(Effect::Connected { run, client });
        }
    }

    pub(super) fn tell_disconnected(&mut self, uuid: &Id, client: &Id) {
        if let Some(container) = self.containers.get(uuid).filter(|c| c.is_live()) {
            let (run, client) = (container.run, client.clone());
            self.effect(Effect::Disconnected { run, client });
        }
    }

    /// An event of a container to those of its clients who have a connection.
    pub(super) fn event(&mut self, run: Run, to: &Audience, data: &Json) {
        let Some(uuid) = self.runs.get(&run) else {
            return;
        };
        let Some(container) = self.containers.get(uuid) else {
            return;
        };
        let payload = json(&(&**uuid, data)).into_bytes();
        let clients: Vec<Id> = match to {
            Audience::All => container.connected.iter().cloned().collect(),
            Audience::Client(client) => container
                .connected
                .get(client)
                .cloned()
                .into_iter()
                .collect(),
        };
        for client in clients {
            let conn = self.sessions.get_mut(&client).and_then(|s| s.conn.clone());
            if let Some(conn) = conn {
                self.send(conn, Frame::new(Op::Event, "", payload.clone()));
            }
        }
    }
}

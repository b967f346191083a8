//! Connected containers: those whose events an agent's ROUTER sends over this connection.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{Connect, Json, OneOrMany, Uuid, method};

use crate::config::Peer;
use crate::io::{Effect, Token};
use crate::pending::{Body, Internal, Key, Owner, Pending};
use crate::session::Session;

impl Session {
    pub(crate) fn connect(
        &mut self,
        now: Duration,
        token: Token,
        uuid: String,
        out: &mut Vec<Effect>,
    ) {
        if self.config.peer != Peer::Agent {
            // A container's own ROUTER sends its events to everybody.
            let result = Ok(Bytes::from_static(b"1"));
            return out.push(Effect::Answered { token, result });
        }
        self.forget_disconnect(&uuid);
        let body = Body::Json(params(vec![uuid.clone()]));
        let owner = Owner::Connect { token, uuid };
        let mut request = Pending::new(String::new(), method::CONNECT.into(), body, owner);
        request.deadline = self.deadline(now, None);
        self.enqueue(request);
    }

    pub(crate) fn disconnect(&mut self, uuid: &str) {
        self.connected.shift_remove(uuid);
        // One that was not answered yet may have reached the agent.
        if self.config.peer == Peer::Agent && self.is_up() {
            let uuid = uuid.to_owned();
            let what = Internal::Disconnect(uuid.clone());
            let params = Json::of(&Uuid { uuid }).unwrap_or_else(|_| Json::null());
            self.ask(what, method::DISCONNECT, params);
        }
    }

    /// That a container's events were wanted no more, said again over a new connection, would be the
    /// end of what is asked for now.
    fn forget_disconnect(&mut self, uuid: &str) {
        for key in self.queue.keys() {
            let owner = self.queue.get(key).map(|request| &request.owner);
            if let Some(Owner::Internal(Internal::Disconnect(left))) = owner
                && left == uuid
            {
                self.queue.give_up(key);
            }
        }
    }

    /// Over a new connection to an agent, or after a failure, by which some may have left it: it
    /// sends events to those who asked over this one.
    pub(crate) fn ask_connect(&mut self) -> Option<Key> {
        if self.connected.is_empty() {
            return None;
        }
        let params = params(self.connected.iter().cloned().collect());
        Some(self.ask(Internal::Connect, method::CONNECT, params))
    }
}

fn params(uuids: Vec<String>) -> Json {
    let connect = Connect {
        uuid: OneOrMany::Many(uuids),
    };
    Json::of(&connect).unwrap_or_else(|_| Json::null())
}

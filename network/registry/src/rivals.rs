//! Processes of one client id: which of them get no session.

use huly_protocol::{Frame, Hello, Op};

use crate::registry::{ConnId, Id, Registry};

/// Clients whose numbers are remembered. One operator is one client; all of them know the secret.
const REMEMBERED: usize = 1_024;

const NO_SECRET: &str = "a process with the right control secret has this client id; this one's secret \
                         is missing or wrong";
const LOWER: &str = "a process with a higher fencing number has, or had, this client id";
const NO_NUMBER: &str = "a process with a fencing number has this client id; this one has none";

impl Registry {
    /// Whether the hello has the control secret.
    pub(crate) fn controls(&self, hello: &Hello) -> bool {
        match (&hello.huly, &self.config.control_secret) {
            (Some(ext), Some(secret)) => ext.secret.as_ref() == Some(secret),
            _ => false,
        }
    }

    /// Why a hello gets no session, if it gets none: another process goes before this one.
    pub(crate) fn takes_no_session(
        &self,
        client: &Id,
        conn: &ConnId,
        hello: &Hello,
    ) -> Option<&'static str> {
        let nonce = hello.huly.as_ref().map(|ext| &ext.nonce);
        // A process with the secret that is connected, and is not the one that says hello.
        let present = self.sessions.get(client).filter(|session| {
            let elsewhere = session.conn.as_ref().is_some_and(|other| other != conn);
            session.control && elsewhere && session.nonce.as_ref() != nonce
        });
        if !self.controls(hello) {
            return present.map(|_| NO_SECRET);
        }
        match hello.huly.as_ref().and_then(|ext| ext.fencing) {
            // Also when nobody is connected: whoever had the higher number may be about to come again.
            Some(number) => {
                let known = self.fencing.get(client);
                known.is_some_and(|known| number < *known).then_some(LOWER)
            }
            None => present.and_then(|session| session.fencing.map(|_| NO_NUMBER)),
        }
    }

    /// Remembers the number of a hello that gets a session, and returns it.
    pub(crate) fn note_fencing(&mut self, client: &Id, hello: &Hello) -> Option<u64> {
        let number = hello.huly.as_ref().and_then(|ext| ext.fencing);
        let number = number.filter(|_| self.controls(hello))?;
        if !self.fencing.contains_key(client) && self.fencing.len() >= REMEMBERED {
            self.fencing.shift_remove_index(0);
        }
        self.fencing.insert(client.clone(), number);
        Some(number)
    }

    /// Answers a hello that gets no session.
    pub(crate) fn turn_away(&mut self, conn: ConnId, hello: &Hello, why: &str) {
        let control = self.controls(hello);
        let (uuid, payload) = (self.make_uuid(), self.hello_payload(control));
        self.send(conn.clone(), Frame::new(Op::Hello, uuid, payload));
        self.supersede(conn, why);
    }
}

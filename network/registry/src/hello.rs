//! Hello: a client session begins, continues, or goes to another process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{
    Frame, Hello, HelloAnswer, Limits, MAX_CLIENT_ID_BYTES, Op, PROTOCOL_VERSION, PeerEvent,
};
use indexmap::{IndexMap, IndexSet};
use uuid::Uuid;

use crate::admission::Load;
use crate::recent::Recent;
use crate::registry::{ConnId, Effect, Id, Registry};
use crate::session::{Session, millis};
use crate::timer::Timer;

/// A term is raised to one of so many, in ms: few enough that it stays near the time of day.
const TERMS_APART: u64 = 4_096;

impl Registry {
    pub(crate) fn hello(&mut self, conn: ConnId, frame: &Frame) {
        let Ok(hello) = Hello::read(&frame.payload) else {
            return self.bad_message("bad_hello");
        };
        if frame.id.len() > MAX_CLIENT_ID_BYTES {
            return self.bad_message("client_id_too_long");
        }
        let client = Id::from(frame.id.as_str());
        if self.conns.get(&conn).is_some_and(|other| *other != client) {
            self.conn_closed(&conn);
        }
        if let Some(why) = self.takes_no_session(&client, &conn, &hello) {
            return self.turn_away(conn, &hello, why);
        }
        if let Some(ext) = &hello.huly {
            self.wait_for_others(ext.term);
            self.judge_term(ext.term);
        }
        let new_connection = self.open_session(&client, &conn, &hello);
        self.conns.insert(conn.clone(), client.clone());
        self.timers.set(
            self.now.mono + self.alive_of(&client),
            Timer::Alive(client.clone()),
        );
        self.beat();
        self.answer_hello(&client, conn);
        if new_connection {
            self.resend_calls(&client);
        }
        self.unsuspect(&client);
    }

    /// Makes the session, or continues it; says whether the connection is a new one.
    fn open_session(&mut self, client: &Id, conn: &ConnId, hello: &Hello) -> bool {
        let nonce = hello.huly.as_ref().map(|ext| ext.nonce.clone());
        let fresh = self.make_uuid();
        let alive = hello.alive_timeout_or(self.config.alive_timeout);
        let control = self.controls(hello);
        let fencing = self.note_fencing(client, hello);
        let now = self.now.mono;
        let Some(session) = self.sessions.get_mut(client) else {
            let session = Session {
                conn: Some(conn.clone()),
                cut: None,
                slow: false,
                uuid: fresh,
                nonce,
                control,
                fencing,
                alive,
                last_heard: now,
                sent: false,
                closed_at: None,
                detached: false,
                in_flight: IndexMap::new(),
                asking: Load::default(),
                again: IndexSet::new(),
                done: Recent::default(),
                answered: Recent::default(),
                refs: IndexSet::new(),
                asked: IndexMap::new(),
                agents: BTreeSet::new(),
                sync: None,
                chunks: BTreeMap::new(),
                chunked: 0,
                chunked_bytes: 0,
            };
            self.sessions.insert(client.clone(), session);
            // Durable references of an earlier session, or told by agents.
            if let Some(durable) = self.durable.get(client)
                && let Some(session) = self.sessions.get_mut(client)
            {
                session.refs.extend(durable.iter().cloned());
            }
            return true;
        };
        let incarnation = session.nonce != nonce;
        let new_connection = session.conn.as_ref() != Some(conn);
        session.alive = alive;
        session.control = control;
        session.fencing = fencing;
        session.last_heard = now;
        session.closed_at = None;
        session.detached = false;
        // What a TypeScript client sent may be lost with its connection as well, and it sends that
        // again only for a fresh uuid (W21); a Rust client does so over every new connection.
        let lost = new_connection && (session.sent || nonce.is_none());
        if lost || incarnation {
            session.uuid = fresh;
            session.sent = false;
            self.feed.watchers.swap_remove(client);
        }
        if new_connection {
            session.slow = false;
            if let Some(cut) = session.cut.take().filter(|cut| cut != conn) {
                self.conns.swap_remove(&cut);
            }
            let old = session.conn.replace(conn.clone());
            if let Some(old) = old {
                self.conns.swap_remove(&old);
                if incarnation {
                    self.supersede(old, "another process said hello with this client id");
                }
            }
        }
        if incarnation {
            self.new_incarnation(client, nonce);
        }
        if let Some(session) = self.sessions.get_mut(client).filter(|_| new_connection) {
            session.again = session.in_flight.keys().cloned().collect();
            session.answered.clear();
        }
        new_connection
    }

    /// Another process with the same client id: it takes over references, not requests or agents.
    fn new_incarnation(&mut self, client: &Id, nonce: Option<String>) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        session.nonce = nonce;
        session.done.clear();
        session.asked.clear();
        session.sync = None;
        session.chunks.clear();
        session.chunked = 0;
        session.chunked_bytes = 0;
        let flights = std::mem::take(&mut session.in_flight);
        let agents = std::mem::take(&mut session.agents);
        self.forget_flights(client, flights);
        for agent in agents {
            let now = self.now.mono;
            self.agent_gone(&agent, "ConnectionClosed", now, Some(now));
        }
    }

    pub(crate) fn supersede(&mut self, old: ConnId, why: &str) {
        let event = PeerEvent::Superseded(why.to_owned());
        if let Ok(payload) = serde_json::to_vec(&event) {
            self.send(old, Frame::new(Op::Event, "", payload));
        }
    }

    fn alive_of(&self, client: &Id) -> Duration {
        self.sessions
            .get(client)
            .map_or(self.config.alive_timeout, |session| session.alive)
    }

    fn answer_hello(&mut self, client: &Id, conn: ConnId) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let payload = match session.is_rust() {
            true => self.hello_payload(session.control),
            false => Vec::new(),
        };
        let frame = Frame::new(Op::Hello, session.uuid.clone(), payload);
        self.send(conn, frame);
    }

    /// What a Rust peer's hello is answered with.
    pub(crate) fn hello_payload(&self, control: bool) -> Vec<u8> {
        let answer = HelloAnswer {
            v: PROTOCOL_VERSION,
            instance: self.config.instance.clone(),
            term: self.term,
            network: self.config.network.clone(),
            features: Vec::new(),
            control,
            limits: Limits {
                message_bytes: self.config.message_bytes,
                requests_in_flight: self.config.requests_in_flight,
                lease_ms: millis(self.config.lease),
            },
            container: None,
        };
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    /// The first peer that knew another server shows that peers have found the way to this one: the
    /// others get their time from then on, however long the server ran before that.
    fn wait_for_others(&mut self, known: u64) {
        if known == 0 || known == self.term || self.follows {
            return;
        }
        self.follows = true;
        self.settled = false;
        self.settles_at = self.now.mono + self.config.settle;
        self.timers.set(self.settles_at, Timer::Settled);
    }

    /// Raises the term over one that a peer knows; later in its life the server ends instead, for
    /// then another server has taken over.
    fn judge_term(&mut self, known: u64) {
        if known <= self.term {
            return;
        }
        if self.now.mono.saturating_sub(self.started) > self.config.term_window {
            let term = self.term;
            self.out.push(Effect::Exit {
                reason: format!("a peer knows term {known}, later than this server's {term}"),
            });
            return;
        }
        let raised = known.saturating_add(1 + self.apart(known));
        self.term = self.now.wall_ms.max(raised);
        let event = PeerEvent::Term(self.term);
        let Ok(payload) = serde_json::to_vec(&event) else {
            return;
        };
        let conns: Vec<ConnId> = self
            .sessions
            .values()
            .filter(|session| session.is_rust())
            .filter_map(|session| session.conn.clone())
            .collect();
        for conn in conns {
            self.send(conn, Frame::new(Op::Event, "", payload.clone()));
        }
    }

    /// How far above the next one a term is raised over this one, in ms: by the process's own random
    /// uuid. Two servers that are up at once and raise theirs over the same one would else make the
    /// same epochs.
    fn apart(&self, known: u64) -> u64 {
        let name = format!("{}/term/{known}", self.config.instance);
        let (high, _) = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair();
        high % TERMS_APART
    }
}

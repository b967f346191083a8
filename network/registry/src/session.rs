//! Client sessions at the server: hello, ping, the connection's end, silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{
    AgentRegistration, Frame, Hello, HelloAnswer, Limits, Op, PROTOCOL_VERSION, PeerEvent,
};
use indexmap::{IndexMap, IndexSet};

use crate::control::BegunSync;
use crate::entry::HeldCall;
use crate::registry::{ConnId, Effect, Id, Registry};
use crate::timer::Timer;

/// Gets whose answers are remembered, per session.
const REMEMBERED_GETS: usize = 4_096;
/// The longest client id, in bytes.
const MAX_CLIENT_ID: usize = 253;

/// A request of a client that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) method: &'static str,
    /// The container whose entry has its waiter or held call.
    pub(crate) waits_for: Option<Id>,
}

/// A client as the server knows it.
#[derive(Debug)]
pub(crate) struct Session {
    /// The connection of the day; none between a close and the next hello.
    pub(crate) conn: Option<ConnId>,
    /// What the hello is answered with.
    pub(crate) uuid: String,
    /// The nonce of a Rust peer's process; none of a TypeScript peer.
    nonce: Option<String>,
    pub(crate) control: bool,
    alive: Duration,
    pub(crate) last_heard: Duration,
    /// Whether anything was sent on this connection that may get lost with it.
    sent: bool,
    closed_at: Option<Duration>,
    pub(crate) detached: bool,
    pub(crate) in_flight: IndexMap<String, Flight>,
    /// Which container answered a get, by request id.
    got: IndexMap<String, Id>,
    pub(crate) refs: IndexSet<Id>,
    pub(crate) agents: BTreeSet<Id>,
    pub(crate) watches: bool,
    pub(crate) sync: Option<BegunSync>,
    /// Registrations of agents of which chunks are still to come.
    pub(crate) chunks: BTreeMap<Id, AgentRegistration>,
}

impl Session {
    pub(crate) fn is_rust(&self) -> bool {
        self.nonce.is_some()
    }

    pub(crate) fn remember_get(&mut self, request: &str, uuid: Id) {
        if self.got.len() >= REMEMBERED_GETS {
            self.got.shift_remove_index(0);
        }
        self.got.insert(request.to_owned(), uuid);
    }

    pub(crate) fn remembered_get(&self, request: &str) -> Option<&Id> {
        self.got.get(request)
    }
}

impl Registry {
    pub(crate) fn hello(&mut self, conn: ConnId, frame: &Frame) {
        let hello = match frame.payload.is_empty() {
            true => Hello {
                alive_timeout: None,
                huly: None,
            },
            false => match serde_json::from_slice::<Hello>(&frame.payload) {
                Ok(hello) => hello,
                Err(_) => return self.bad_message("bad_hello"),
            },
        };
        if frame.id.len() > MAX_CLIENT_ID {
            return self.bad_message("client_id_too_long");
        }
        let client = Id::from(frame.id.as_str());
        if self.conns.get(&conn).is_some_and(|other| *other != client) {
            self.conn_closed(&conn);
        }
        if let Some(ext) = &hello.huly {
            self.judge_term(ext.term);
        }
        let new_connection = self.open_session(&client, &conn, &hello);
        self.conns.insert(conn.clone(), client.clone());
        self.timers.set(
            self.now.mono + self.alive_of(&client),
            Timer::Alive(client.clone()),
        );
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
        let alive = hello
            .alive_timeout
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
            .map_or(self.config.alive_timeout, |seconds| {
                Duration::from_secs_f64(seconds.clamp(0.5, 86_400.0))
            });
        let control = match (&hello.huly, &self.config.control_secret) {
            (Some(ext), Some(secret)) => ext
                .secret
                .as_ref()
                .is_some_and(|said| same_secret(said, secret)),
            _ => false,
        };
        let now = self.now.mono;
        let Some(session) = self.sessions.get_mut(client) else {
            let session = Session {
                conn: Some(conn.clone()),
                uuid: fresh,
                nonce,
                control,
                alive,
                last_heard: now,
                sent: false,
                closed_at: None,
                detached: false,
                in_flight: IndexMap::new(),
                got: IndexMap::new(),
                refs: IndexSet::new(),
                agents: BTreeSet::new(),
                watches: false,
                sync: None,
                chunks: BTreeMap::new(),
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
        session.last_heard = now;
        session.closed_at = None;
        session.detached = false;
        // What a TypeScript client sent may be lost with its connection as well, and it sends that
        // again only for a fresh uuid (W21); a Rust client does so over every new connection.
        let lost = new_connection && (session.sent || nonce.is_none());
        if lost || incarnation {
            session.uuid = fresh;
            session.sent = false;
            session.watches = false;
        }
        if new_connection {
            let old = session.conn.replace(conn.clone());
            if let Some(old) = old {
                self.conns.swap_remove(&old);
                if incarnation {
                    self.supersede(old);
                }
            }
        }
        if incarnation {
            self.new_incarnation(client, nonce);
        }
        new_connection
    }

    /// Another process with the same client id: it takes over references, not requests or agents.
    fn new_incarnation(&mut self, client: &Id, nonce: Option<String>) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        session.nonce = nonce;
        session.got.clear();
        session.sync = None;
        session.chunks.clear();
        let flights = std::mem::take(&mut session.in_flight);
        let agents = std::mem::take(&mut session.agents);
        self.forget_flights(client, flights);
        for agent in agents {
            self.agent_gone(&agent, "ConnectionClosed", self.now.mono);
        }
    }

    fn supersede(&mut self, old: ConnId) {
        let event = PeerEvent::Superseded("another process said hello with this client id".into());
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
            false => Vec::new(),
            true => {
                let answer = HelloAnswer {
                    v: PROTOCOL_VERSION,
                    instance: self.config.instance.clone(),
                    term: self.term,
                    network: self.config.network.clone(),
                    features: Vec::new(),
                    control: session.control,
                    limits: Limits {
                        message_bytes: self.config.message_bytes,
                        requests_in_flight: self.config.requests_in_flight,
                        lease_ms: millis(self.config.lease),
                    },
                };
                serde_json::to_vec(&answer).unwrap_or_default()
            }
        };
        let frame = Frame::new(Op::Hello, session.uuid.clone(), payload);
        self.send(conn, frame);
    }

    pub(crate) fn ping(&mut self, client: &Id, frame: Frame) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        if let Some(conn) = session.conn.clone() {
            let uuid = session.uuid.clone();
            self.send(conn, Frame::new(Op::Pong, uuid, frame.payload));
        }
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
        self.term = self.now.wall_ms.max(known.saturating_add(1));
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

    pub(crate) fn conn_closed(&mut self, conn: &ConnId) {
        // A connection that was superseded is not here any more: its close ends nothing.
        let Some(client) = self.conns.swap_remove(conn) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&client) else {
            return;
        };
        if session.conn.as_ref() != Some(conn) {
            return;
        }
        session.conn = None;
        session.closed_at = Some(self.now.mono);
        if session.detached {
            return self.end_session(&client, "ConnectionClosed");
        }
        if !session.agents.is_empty() {
            let agents = session.agents.clone();
            let grace = if session.is_rust() {
                self.config.grace
            } else {
                self.config.plain_grace
            };
            self.timers.set(self.now.mono + grace, Timer::Grace(client));
            for agent in &agents {
                self.suspect(agent);
            }
        }
    }

    pub(crate) fn check_grace(&mut self, client: &Id) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let grace = if session.is_rust() {
            self.config.grace
        } else {
            self.config.plain_grace
        };
        let Some(since) = session.closed_at.filter(|_| session.conn.is_none()) else {
            return;
        };
        if since + grace > self.now.mono {
            return self.timers.set(since + grace, Timer::Grace(client.clone()));
        }
        let agents = session.agents.clone();
        if let Some(session) = self.sessions.get_mut(client) {
            // They are to be registered again.
            session.sent |= !agents.is_empty();
        }
        for agent in agents {
            self.agent_gone(&agent, "ConnectionClosed", since);
        }
    }

    pub(crate) fn check_alive(&mut self, client: &Id) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let due = session.last_heard + session.alive;
        if due > self.now.mono {
            self.timers.set(due, Timer::Alive(client.clone()));
        } else {
            self.end_session(client, "AgentSilent");
        }
    }

    /// After a time in which the server itself was not running nobody counts as silent: their
    /// messages of that time are still to be read.
    pub(crate) fn forgive_own_pause(&mut self) {
        const NOTICED: Duration = Duration::from_millis(500);
        let Some(due) = self.timers.next() else {
            return;
        };
        let late = self.now.mono.saturating_sub(due);
        if late > NOTICED {
            for session in self.sessions.values_mut() {
                session.last_heard = self.now.mono;
                session.closed_at = session.closed_at.map(|_| self.now.mono);
            }
        }
    }

    /// Ends a session: what it held is released (durable references stay), its agents are gone.
    pub(crate) fn end_session(&mut self, client: &Id, reason: &'static str) {
        let Some(session) = self.sessions.shift_remove(client) else {
            return;
        };
        if let Some(conn) = &session.conn {
            self.conns.swap_remove(conn);
        }
        self.forget_flights(client, session.in_flight);
        for uuid in session.refs {
            self.drop_reference(client, &uuid, false);
        }
        for agent in session.agents {
            self.agent_gone(
                &agent,
                reason,
                session.closed_at.unwrap_or(session.last_heard),
            );
        }
    }

    /// Takes back what unanswered requests of a client left at containers.
    fn forget_flights(&mut self, client: &Id, flights: IndexMap<String, Flight>) {
        self.early_gets.retain(|get| get.client != *client);
        for uuid in flights.into_values().filter_map(|flight| flight.waits_for) {
            if let Some(early) = self.early_calls.get_mut(&uuid) {
                forget_held(early, client, &mut self.held_bytes);
                if early.is_empty() {
                    self.early_calls.remove(&uuid);
                }
            }
            let Some(entry) = self.entries.get_mut(&uuid) else {
                continue;
            };
            entry.waiters.retain(|waiter| waiter.client != *client);
            forget_held(&mut entry.held, client, &mut self.held_bytes);
            self.mind_idle(&uuid);
        }
    }

    /// Sends to a client, if it is connected; a message that gets lost shows in the session's uuid.
    pub(crate) fn send_to_client(&mut self, client: &Id, frame: Frame) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        session.sent = true;
        if let Some(conn) = session.conn.clone() {
            self.send(conn, frame);
        }
    }

    /// Whether a client is a Rust peer.
    pub(crate) fn is_rust(&self, client: &Id) -> bool {
        self.sessions.get(client).is_some_and(Session::is_rust)
    }

    /// The uuid of a client's session.
    pub(crate) fn session_uuid(&self, client: &Id) -> Option<String> {
        self.sessions
            .get(client)
            .map(|session| session.uuid.clone())
    }
}

fn forget_held(held: &mut Vec<HeldCall>, client: &Id, bytes: &mut usize) {
    for call in held.extract_if(.., |call| call.client == *client) {
        *bytes = bytes.saturating_sub(call.data.text().len());
    }
}

/// A duration in whole ms.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Compares in a time that does not depend on where the texts differ.
fn same_secret(said: &str, secret: &str) -> bool {
    said.len() == secret.len()
        && said
            .bytes()
            .zip(secret.bytes())
            .fold(0, |differences, (a, b)| differences | (a ^ b))
            == 0
}

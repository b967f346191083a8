//! Client sessions at the server: ping, the connection's end, silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::Frame;
use indexmap::{IndexMap, IndexSet};

use crate::chunks::Chunks;
use crate::control::BegunSync;
use crate::registry::{ConnId, Id, Registry};
use crate::timer::Timer;

/// Gets whose answers are remembered, per session.
const REMEMBERED_GETS: usize = 4_096;

/// A request of a client that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) method: &'static str,
    /// The container whose entry has its waiter or held call.
    pub(crate) waits_for: Option<Id>,
    /// The call to an agent that carries it.
    pub(crate) call: Option<u64>,
}

/// A client as the server knows it.
#[derive(Debug)]
pub(crate) struct Session {
    /// The connection of the day; none between a close and the next hello.
    pub(crate) conn: Option<ConnId>,
    /// What the hello is answered with.
    pub(crate) uuid: String,
    /// The nonce of a Rust peer's process; none of a TypeScript peer.
    pub(crate) nonce: Option<String>,
    pub(crate) control: bool,
    /// The number of its leadership.
    pub(crate) fencing: Option<u64>,
    pub(crate) alive: Duration,
    pub(crate) last_heard: Duration,
    /// Whether anything was sent on this connection that may get lost with it.
    pub(crate) sent: bool,
    pub(crate) closed_at: Option<Duration>,
    pub(crate) detached: bool,
    pub(crate) in_flight: IndexMap<String, Flight>,
    /// Requests that were in flight when the present connection began, and that the client sends
    /// again over it: their answers may be on the way already, and are the only ones.
    pub(crate) again: IndexSet<String>,
    /// Which container answered a get, by request id.
    pub(crate) got: IndexMap<String, Id>,
    pub(crate) refs: IndexSet<Id>,
    pub(crate) agents: BTreeSet<Id>,
    pub(crate) watches: bool,
    pub(crate) sync: Option<BegunSync>,
    /// Registrations of agents of which chunks are still to come.
    pub(crate) chunks: BTreeMap<Id, Chunks>,
    /// Containers in them.
    pub(crate) chunked: usize,
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
    pub(crate) fn ping(&mut self, client: &Id, frame: Frame) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        if let Some(conn) = session.conn.clone() {
            let uuid = session.uuid.clone();
            self.send(conn, Frame::pong(uuid, frame.payload));
        }
    }

    pub(crate) fn conn_cut(&mut self, conn: &ConnId) {
        let client = self.conns.swap_remove(conn);
        if let Some(session) = client.and_then(|client| self.sessions.get_mut(&client))
            && session.conn.as_ref() == Some(conn)
        {
            session.conn = None;
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
            let grace = self.config.grace_of(session.is_rust());
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
        let grace = self.config.grace_of(session.is_rust());
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

    /// Forgets the unanswered requests of a client. What runs at an agent runs on; its answer goes
    /// nowhere.
    pub(crate) fn forget_flights(&mut self, client: &Id, flights: IndexMap<String, Flight>) {
        self.forget_early_gets(client);
        for flight in flights.into_values() {
            if let Some(number) = flight.call {
                self.take_call(number);
            }
            let Some(uuid) = flight.waits_for else {
                continue;
            };
            self.forget_held(client, &uuid);
            if let Some(entry) = self.entries.get_mut(&uuid) {
                entry.waiters.retain(|waiter| waiter.client != *client);
                self.mind_idle(&uuid);
            }
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

/// A duration in whole ms.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

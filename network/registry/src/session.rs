//! Client sessions at the server: ping, the connection's end, silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::Frame;
use indexmap::{IndexMap, IndexSet};

use crate::admission::Load;
use crate::asked::Asked;
use crate::chunks::Chunks;
use crate::control::BegunSync;
use crate::recent::Recent;
use crate::registry::{ConnId, Id, Registry};
use crate::timer::Timer;

/// After so long a peer may be gone. A Rust peer pings every 250 ms, a TypeScript one once a second
/// (W07).
const SIGN_OF_LIFE: Duration = Duration::from_millis(1_500);
const PLAIN_SIGN_OF_LIFE: Duration = Duration::from_millis(2_500);

/// A request of a client that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) method: &'static str,
    /// Of a get: the kind.
    pub(crate) kind: Option<Id>,
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
    /// The connection that this side gave up, until another hello or its close: what comes over it
    /// still says that the client lives.
    pub(crate) cut: Option<ConnId>,
    /// Whether much waits to be written to its connection.
    pub(crate) slow: bool,
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
    /// Those of its requests that are at agents.
    pub(crate) asking: Load,
    /// Requests that were in flight when the present connection began, and that the client sends
    /// again over it: their answers may be on the way already, and are the only ones.
    pub(crate) again: IndexSet<String>,
    /// What was done, by request id: of a get, which container answered it; of a release, which one it
    /// let go, if that was a Rust client's.
    pub(crate) done: Recent<String, Id>,
    /// What was answered over the present connection to a TypeScript client: such a client may send
    /// it once more, for it sends what was refused for now again whether it is answered or not.
    pub(crate) answered: Recent<String, ()>,
    pub(crate) refs: IndexSet<Id>,
    /// Of those, what a TypeScript client asked for without a uuid; the latest comes last.
    pub(crate) asked: IndexMap<Id, Asked>,
    pub(crate) agents: BTreeSet<Id>,
    pub(crate) sync: Option<BegunSync>,
    /// Registrations of agents of which chunks are still to come.
    pub(crate) chunks: BTreeMap<Id, Chunks>,
    /// Containers in them.
    pub(crate) chunked: usize,
    /// Bytes of them.
    pub(crate) chunked_bytes: usize,
}

impl Session {
    pub(crate) fn is_rust(&self) -> bool {
        self.nonce.is_some()
    }

    /// A request is answered: over a connection that is there the answer arrives.
    pub(crate) fn note_answered(&mut self, request: &str) {
        if !self.is_rust() && self.conn.is_some() {
            self.answered.note(request.to_owned(), ());
        }
    }

    /// Forgets a reference.
    pub(crate) fn let_go(&mut self, uuid: &Id) {
        self.refs.swap_remove(uuid);
        self.asked.shift_remove(uuid);
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

    /// Whether the session is bound to the connection.
    pub(crate) fn is_bound(&self, client: &Id, conn: &ConnId) -> bool {
        let session = self.sessions.get(client);
        session.is_some_and(|session| session.conn.as_ref() == Some(conn))
    }

    pub(crate) fn conn_cut(&mut self, conn: &ConnId) {
        self.counted.cuts += 1;
        let client = self.conns.get(conn);
        if let Some(session) = client.and_then(|client| self.sessions.get_mut(client))
            && session.conn.as_ref() == Some(conn)
        {
            session.cut = session.conn.take();
            // What waited to be written is lost.
            session.sent = true;
        }
    }

    pub(crate) fn conn_slow(&mut self, conn: &ConnId, slow: bool) {
        let client = self.conns.get(conn);
        if let Some(session) = client.and_then(|client| self.sessions.get_mut(client))
            && session.conn.as_ref() == Some(conn)
        {
            session.slow = slow;
        }
    }

    pub(crate) fn conn_has_room(&mut self, conn: &ConnId) {
        let client = self.conns.get(conn).cloned();
        if let Some(client) = client.filter(|client| self.is_bound(client, conn)) {
            self.tell_snapshot(&client);
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
        if session.cut.as_ref() == Some(conn) {
            session.cut = None;
        }
        if session.conn.as_ref() != Some(conn) {
            return;
        }
        session.conn = None;
        session.closed_at = Some(self.now.mono);
        if session.detached {
            return self.end_session(&client, "ConnectionClosed");
        }
        if self.now.mono.saturating_sub(session.last_heard) >= self.config.write_timeout {
            // The kernel gave it up: no sign of a death, silence is.
            session.closed_at = None;
            session.sent = true;
            return;
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
        if since + grace > self.read_until {
            return self.timers.set(since + grace, Timer::Grace(client.clone()));
        }
        let (agents, heard) = (session.agents.clone(), session.last_heard);
        if let Some(session) = self.sessions.get_mut(client) {
            // They are to be registered again.
            session.sent |= !agents.is_empty();
        }
        for agent in agents {
            self.agent_gone(&agent, "ConnectionClosed", since, Some(heard));
        }
    }

    pub(crate) fn check_alive(&mut self, client: &Id) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let due = session.last_heard + session.alive;
        if due > self.read_until {
            self.timers.set(due, Timer::Alive(client.clone()));
        } else {
            self.end_session(client, "AgentSilent");
        }
    }

    /// Ends a session: what it held is released (durable references stay), its agents are gone.
    pub(crate) fn end_session(&mut self, client: &Id, reason: &'static str) {
        let Some(session) = self.sessions.shift_remove(client) else {
            return;
        };
        for timer in [Timer::Alive, Timer::Grace, Timer::Chunks] {
            self.timers.unset(&timer(client.clone()));
        }
        self.feed.watchers.swap_remove(client);
        for conn in [&session.conn, &session.cut].into_iter().flatten() {
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
                Some(session.last_heard),
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
                if !entry.waiters.iter().any(|waiter| waiter.says_where) {
                    entry.on = None;
                }
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

    /// Whether a client is connected and was heard of lately.
    pub(crate) fn shows_life(&self, client: &Id) -> bool {
        let lives = |session: &Session| {
            let within = match session.is_rust() {
                true => SIGN_OF_LIFE,
                false => PLAIN_SIGN_OF_LIFE,
            };
            let silent = self.now.mono.saturating_sub(session.last_heard);
            session.conn.is_some() && silent < within
        };
        self.sessions.get(client).is_some_and(lives)
    }

    /// A request of a client that is not answered yet.
    pub(crate) fn flight_mut(&mut self, client: &Id, request: &str) -> Option<&mut Flight> {
        self.sessions.get_mut(client)?.in_flight.get_mut(request)
    }

    /// Whether a client is a Rust peer.
    pub(crate) fn is_rust(&self, client: &Id) -> bool {
        self.sessions.get(client).is_some_and(Session::is_rust)
    }
}

/// A duration in whole ms.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! A TypeScript-like client's direct connections. For each agent, and for each container with a ROUTER,
//! it has a sender with the one client id and a count of its own (W05); what it asked there has no
//! deadline (W22). Its user ends a connection before the container is released.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{Endpoint, EndpointKind, method};
use serde_json::{Value, json};

use super::{Heard, PlainSession};
use crate::program::link::Link;
use crate::program::{Action, Came, Context, Target};

/// What it waits for of a ROUTER.
#[derive(Debug)]
enum Asked {
    /// That a container's events are sent: requests to it wait for the answer.
    Connect {
        uuid: String,
    },
    Disconnect,
    Request {
        op: u64,
    },
}

/// The sender to one ROUTER.
#[derive(Debug)]
struct Sender {
    authority: String,
    /// The agent that was there.
    agent: String,
    /// Whether it is a container's own.
    own: bool,
    session: PlainSession,
    asked: BTreeMap<u64, Asked>,
}

/// A connected container.
#[derive(Debug)]
struct Connection {
    endpoint: String,
    sender: u64,
    /// Requests that wait until it is connected; none once it is.
    waiting: Option<Vec<u64>>,
}

/// What a request that was asked directly came to: its number, and the answer.
pub(super) type Answered = (u64, Result<Value, String>);

#[derive(Debug)]
pub(super) struct Directs {
    client: String,
    senders: BTreeMap<u64, Sender>,
    made: u64,
    connections: BTreeMap<String, Connection>,
}

impl Directs {
    pub(super) fn new(client: String) -> Self {
        Self {
            client,
            senders: BTreeMap::new(),
            made: 0,
            connections: BTreeMap::new(),
        }
    }

    pub(super) fn is_connected(&self, uuid: &str) -> bool {
        self.connections.contains_key(uuid)
    }

    /// Whether a container has a ROUTER of its own by which it is asked.
    pub(super) fn has_its_own(&self, uuid: &str) -> bool {
        let connection = self.connections.get(uuid);
        let sender = connection.and_then(|connection| self.senders.get(&connection.sender));
        sender.is_some_and(|sender| sender.own)
    }

    fn waiting(&self) -> impl Iterator<Item = &u64> {
        let all = self.connections.values();
        all.flat_map(|connection| connection.waiting.iter().flatten())
    }

    /// Requests to containers without an answer.
    pub(super) fn requests(&self) -> usize {
        let asked = self.senders.values().flat_map(|one| one.asked.values());
        let sent = asked.filter(|asked| matches!(asked, Asked::Request { .. }));
        sent.count() + self.waiting().count()
    }

    /// All without an answer.
    pub(super) fn pending(&self) -> usize {
        let senders = self.senders.values();
        senders.map(|one| one.session.pending()).sum::<usize>() + self.waiting().count()
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        let senders = self.senders.values();
        senders.filter_map(|one| one.session.next_wake()).min()
    }

    /// Connects to a container, if it takes direct connections there.
    pub(super) fn connect(&mut self, cx: &mut Context, uuid: &str, endpoint: &str) {
        let Ok(at) = Endpoint::parse(endpoint) else {
            return;
        };
        let own = match at.kind {
            EndpointKind::Routed => false,
            EndpointKind::Direct => true,
            EndpointKind::NoConnection => return,
        };
        cx.tell(format!("connects to {uuid}"));
        let sender = self.sender_to(cx, &at, own);
        let connection = Connection {
            endpoint: endpoint.to_owned(),
            sender,
            waiting: (!own).then(Vec::new),
        };
        self.connections.insert(uuid.to_owned(), connection);
        if !own {
            let params = json!({ "uuid": uuid });
            let uuid = uuid.to_owned();
            self.ask(
                cx,
                sender,
                method::CONNECT,
                &params,
                Asked::Connect { uuid },
            );
        }
    }

    /// Ends that; what fails by it is returned.
    pub(super) fn disconnect(&mut self, cx: &mut Context, uuid: &str) -> Vec<Answered> {
        let Some(connection) = self.connections.remove(uuid) else {
            return Vec::new();
        };
        cx.tell(format!("disconnects from {uuid}"));
        let number = connection.sender;
        let failed = match self.senders.get(&number) {
            // The container's own is closed with it.
            Some(sender) if sender.own => self.close(cx, number),
            _ => {
                let params = json!({ "uuid": uuid });
                self.ask(cx, number, method::DISCONNECT, &params, Asked::Disconnect);
                connection.waiting.unwrap_or_default()
            }
        };
        let why = |op| (op, Err("the connection was closed".to_owned()));
        failed.into_iter().map(why).collect()
    }

    /// A container is told to be elsewhere (W25).
    pub(super) fn moved(&mut self, cx: &mut Context, uuid: &str, endpoint: &str) -> Vec<Answered> {
        let connection = self.connections.get(uuid);
        if connection.is_none_or(|connection| connection.endpoint == endpoint) {
            return Vec::new();
        }
        let failed = self.disconnect(cx, uuid);
        self.connect(cx, uuid, endpoint);
        failed
    }

    /// Sends a request to a container that is connected.
    pub(super) fn request(&mut self, cx: &mut Context, uuid: &str, op: u64) {
        let Some(connection) = self.connections.get_mut(uuid) else {
            return;
        };
        if let Some(waiting) = &mut connection.waiting {
            return waiting.push(op);
        }
        let number = connection.sender;
        let asked = Asked::Request { op };
        match self.has_its_own(uuid) {
            true => self.ask(cx, number, "count", &json!(op), asked),
            false => {
                let params = json!([uuid, "count", op]);
                self.ask(cx, number, method::CONTAINER_REQUEST, &params, asked);
            }
        }
    }

    /// It leaves.
    pub(super) fn close_all(&mut self, cx: &mut Context) {
        let all: Vec<u64> = self.senders.keys().copied().collect();
        for number in all {
            self.close(cx, number);
        }
    }

    /// The sender that this is for, if it is for one.
    pub(super) fn addressee(&self, came: &Came) -> Option<u64> {
        match came {
            Came::Dialed { dial, .. } => Some(Link::number_of(*dial)).filter(|number| *number > 0),
            Came::Frame { wire, .. } | Came::Closed { wire } | Came::Clogged { wire } => {
                let mut senders = self.senders.iter();
                let (number, _) = senders.find(|(_, one)| one.session.wire() == Some(*wire))?;
                Some(*number)
            }
            _ => None,
        }
    }

    pub(super) fn wake(&mut self, cx: &mut Context) {
        for sender in self.senders.values_mut() {
            sender.session.take(cx, Came::Wake);
        }
    }

    pub(super) fn take(&mut self, cx: &mut Context, number: u64, came: Came) -> Vec<Answered> {
        let Some(sender) = self.senders.get_mut(&number) else {
            // It was closed while it dialed.
            if let Came::Dialed { wire, .. } = came {
                cx.actions.extend(wire.map(|wire| Action::Close { wire }));
            }
            return Vec::new();
        };
        let Some(heard) = sender.session.take(cx, came) else {
            return Vec::new();
        };
        match heard {
            Heard::Fresh => sender.session.resend(cx),
            Heard::Answer { request, result } => match sender.asked.remove(&request) {
                Some(Asked::Request { op }) => return vec![(op, result)],
                Some(Asked::Connect { uuid }) => return self.connected(cx, number, &uuid, result),
                Some(Asked::Disconnect) | None => {}
            },
            Heard::Again { .. } | Heard::Events(_) | Heard::Call { .. } => {}
        }
        Vec::new()
    }

    fn connected(
        &mut self,
        cx: &mut Context,
        sender: u64,
        uuid: &str,
        result: Result<Value, String>,
    ) -> Vec<Answered> {
        let connection = self.connections.get_mut(uuid);
        let Some(connection) = connection.filter(|one| one.sender == sender) else {
            return Vec::new();
        };
        let waiting = connection.waiting.take().unwrap_or_default();
        if let Err(why) = result {
            self.connections.remove(uuid);
            return waiting
                .into_iter()
                .map(|op| (op, Err(why.clone())))
                .collect();
        }
        for op in waiting {
            self.request(cx, uuid, op);
        }
        Vec::new()
    }

    fn ask(&mut self, cx: &mut Context, sender: u64, method: &str, params: &Value, asked: Asked) {
        if let Some(sender) = self.senders.get_mut(&sender) {
            let request = sender.session.request(cx, method, params);
            sender.asked.insert(request, asked);
        }
    }

    /// One to an agent stays for as long as the client: where another agent has the address, there are
    /// two. One to a container is of one connection.
    fn sender_to(&mut self, cx: &mut Context, at: &Endpoint, own: bool) -> u64 {
        let is_to = |one: &Sender| one.authority == at.authority() && one.agent == at.agent_id;
        let mut senders = self.senders.iter();
        if let Some((number, _)) = senders.find(|(_, one)| !own && !one.own && is_to(one)) {
            return *number;
        }
        self.made += 1;
        let to = Target::Door(at.authority());
        let mut session = PlainSession::to(self.client.clone(), to, self.made);
        session.take(cx, Came::Start);
        let sender = Sender {
            authority: at.authority(),
            agent: at.agent_id.clone(),
            own,
            session,
            asked: BTreeMap::new(),
        };
        self.senders.insert(self.made, sender);
        self.made
    }

    /// Closes a sender; the requests that have no answer are returned.
    fn close(&mut self, cx: &mut Context, number: u64) -> Vec<u64> {
        let Some(mut sender) = self.senders.remove(&number) else {
            return Vec::new();
        };
        sender.session.hang_up(cx);
        let op = |asked| match asked {
            Asked::Request { op } => Some(op),
            Asked::Connect { .. } | Asked::Disconnect => None,
        };
        sender.asked.into_values().filter_map(op).collect()
    }
}

//! A little world around one registry: virtual time, connections, peers of every kind.

mod agent;
mod asking;
mod peer;
mod plain;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{Frame, Op, lease};
use huly_registry::{Config, ConnId, Effect, Input, Now, Registry};
use serde_json::Value;

pub(crate) use agent::{AgentSim, Call};
pub(crate) use peer::Side::{Plain, Rust};
pub(crate) use peer::{Peer, PeerState, Side};

/// The wall clock at the start, in ms since 1970.
pub(crate) const WALL: u64 = 1_800_000_000_000;
/// The control secret of every world.
pub(crate) const SECRET: &str = "open sesame";

/// What a request came to.
pub(crate) type Answer = Result<Value, Value>;

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) now: Duration,
    pub(crate) exits: Vec<String>,
    pub(crate) peers: Vec<PeerState>,
    conns: BTreeMap<ConnId, usize>,
    next_conn: u64,
    /// Connections of which it is awaited that little waits for them.
    roomy: VecDeque<ConnId>,
    /// Whether that is so at once.
    pub(crate) has_room: bool,
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// No server was before that may have given leases, and what has come is read at once.
pub(crate) fn config() -> Config {
    Config {
        control_secret: Some(SECRET.into()),
        former_lease: Duration::ZERO,
        round: Duration::ZERO,
        ..Config::new("instance-1", WALL)
    }
}

/// The same after another server, which may have given leases.
pub(crate) fn later() -> Config {
    Config {
        former_lease: lease::LONGEST,
        ..config()
    }
}

impl World {
    /// A server that has just started.
    pub(crate) fn starting(config: Config) -> Self {
        let now = Duration::ZERO;
        Self {
            registry: Registry::new(
                config,
                Now {
                    mono: now,
                    wall_ms: WALL,
                },
            ),
            now,
            exits: Vec::new(),
            peers: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 0,
            roomy: VecDeque::new(),
            has_room: true,
        }
    }

    /// A server that runs since longer than it settles, and than it spares orphans.
    pub(crate) fn new() -> Self {
        let mut world = Self::starting(config());
        world.run(61_000);
        assert!(!world.registry.snapshot().settling);
        world
    }

    /// The same peers, every connection lost, and another server process.
    pub(crate) fn restart_server(&mut self) {
        let mut config = config();
        config.instance = "instance-2".into();
        config.term = WALL + u64::try_from(self.now.as_millis()).unwrap();
        self.restart_with(config);
    }

    pub(crate) fn restart_with(&mut self, config: Config) {
        let now = self.time();
        self.registry = Registry::new(config, now);
        self.conns.clear();
        self.roomy.clear();
        for peer in &mut self.peers {
            peer.conn = None;
        }
    }

    pub(crate) fn time(&self) -> Now {
        let wall_ms = WALL + u64::try_from(self.now.as_millis()).unwrap();
        Now {
            mono: self.now,
            wall_ms,
        }
    }

    /// Gives the registry an input, and peers what it sends.
    pub(crate) fn input(&mut self, input: Input) {
        let now = self.time();
        for effect in self.registry.handle(now, input) {
            match effect {
                Effect::Note { .. } => {}
                Effect::AwaitRoom { conn } => self.roomy.push_back(conn),
                Effect::Exit { reason } => self.exits.push(reason),
                Effect::Send { conn, frame } => {
                    // A connection that is closed takes nothing any more.
                    let Some(index) = self.conns.get(&conn).copied() else {
                        continue;
                    };
                    let peer = &mut self.peers[index];
                    if peer.side == Plain {
                        plain::check(&frame);
                    }
                    match peer.conn == Some(conn) {
                        true => peer.unread.push_back(frame),
                        false => peer.got_on_old.push(frame),
                    }
                }
            }
        }
    }

    /// Lets every peer that runs read what it got, until nobody has anything to say.
    pub(crate) fn talk(&mut self) {
        while self.has_room && self.give_room() {}
        while let Some(index) = self
            .peers
            .iter()
            .position(|peer| peer.runs && !peer.unread.is_empty())
        {
            let frame = self.peers[index].unread.pop_front().unwrap();
            let answer = self.peers[index].read(&frame);
            self.peers[index].got.push(frame);
            if let Some(answer) = answer {
                self.send(Peer(index), answer);
            }
        }
    }

    /// Little waits for the next connection of which that is awaited; says if there is one.
    pub(crate) fn give_room(&mut self) -> bool {
        let conn = self.roomy.pop_front();
        let is_awaited = conn.is_some();
        if let Some(conn) = conn {
            self.input(Input::Room { conn });
        }
        is_awaited
    }

    /// Lets time pass: wake-ups as the registry wants them, pings as the peers send them.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + ms(millis);
        loop {
            self.talk();
            let wake = self.registry.next_wake().unwrap_or(Duration::MAX);
            let ping = self.peers.iter().filter(|peer| peer.pings());
            let ping = ping
                .map(|peer| peer.next_ping)
                .min()
                .unwrap_or(Duration::MAX);
            let next = wake.min(ping).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            let due: Vec<usize> = (0..self.peers.len())
                .filter(|index| self.peers[*index].pings() && self.peers[*index].next_ping <= next)
                .collect();
            for index in due {
                let peer = &mut self.peers[index];
                peer.next_ping = next + peer.ping_interval();
                self.send(Peer(index), Frame::bare(Op::Ping));
            }
            self.input(Input::Wake);
        }
    }

    fn send(&mut self, peer: Peer, frame: Frame) {
        if let Some(conn) = self[peer].conn.clone() {
            self.input(Input::Message { conn, frame });
        }
    }

    /// The server sees the end of a connection that its peer has replaced.
    pub(crate) fn close_old(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
        self.input(Input::Closed { conn });
        self.talk();
    }

    /// The process does not run for a time; its connection stays.
    pub(crate) fn freeze(&mut self, peer: Peer) {
        self[peer].runs = false;
    }

    pub(crate) fn thaw(&mut self, peer: Peer) {
        let now = self.now;
        self[peer].runs = true;
        self[peer].next_ping = now;
        self.talk();
    }

    /// An agent answers a call that it had left unanswered.
    pub(crate) fn answer_call(&mut self, peer: Peer, call: &Call) {
        let answer = self[peer].sim().act(call);
        self.send(peer, AgentSim::answer_frame(&call.id, answer));
        self.talk();
    }

    /// Sends any frame of a peer.
    pub(crate) fn say(&mut self, peer: Peer, op: Op, id: &str, payload: impl Into<Bytes>) {
        self.send(peer, Frame::new(op, id, payload));
        self.talk();
    }

    /// A new peer, not connected yet.
    pub(crate) fn peer(&mut self, client: &str, side: Side) -> Peer {
        self.peers.push(PeerState::new(client, side));
        Peer(self.peers.len() - 1)
    }

    /// A new peer that has said hello.
    pub(crate) fn client(&mut self, client: &str, side: Side) -> Peer {
        let peer = self.peer(client, side);
        self.connect(peer);
        peer
    }

    /// The operator: a Rust client that knows the control secret.
    pub(crate) fn operator(&mut self) -> Peer {
        let peer = self.peer("operator", Rust);
        self[peer].secret = Some(SECRET.into());
        self.connect(peer);
        peer
    }

    /// An operator that has set a kind's specification.
    pub(crate) fn specify(&mut self, spec: Value) -> Peer {
        let operator = self.operator();
        self.ask(operator, "ks", spec).unwrap();
        operator
    }

    /// A new agent, registered.
    pub(crate) fn agent(&mut self, id: &str, side: Side, kinds: &[&str]) -> Peer {
        let peer = self.peer(&format!("client-of-{id}"), side);
        self[peer].agent = Some(AgentSim::new(id, side, kinds));
        self.connect(peer);
        self.register(peer);
        peer
    }

    /// Opens a new connection and says hello over it. Returns the session's uuid.
    pub(crate) fn connect(&mut self, peer: Peer) -> String {
        self.next_conn += 1;
        let conn = Bytes::from(format!("conn-{}", self.next_conn));
        self.conns.insert(conn.clone(), peer.0);
        let now = self.now;
        let state = &mut self[peer];
        state.conn = Some(conn);
        state.unread.clear();
        state.next_ping = now + state.ping_interval();
        let hello = state.hello();
        let client = state.client.clone();
        self.say(peer, Op::Hello, &client, hello.to_string());
        let hellos = self[peer].got.iter().filter(|got| got.op == Op::Hello);
        hellos.last().map(|got| got.id.clone()).unwrap_or_default()
    }

    /// The server gives a connection up that its peer still has.
    pub(crate) fn cut(&mut self, peer: Peer) {
        if let Some(conn) = self[peer].conn.clone() {
            self.input(Input::Cut { conn });
        }
        self.talk();
    }

    /// The connection breaks and the server sees it.
    pub(crate) fn close(&mut self, peer: Peer) {
        let state = &mut self[peer];
        state.unread.clear();
        if let Some(conn) = state.conn.take() {
            self.conns.remove(&conn);
            self.input(Input::Closed { conn });
        }
        self.talk();
    }

    /// Connects again; where the uuid is another one, an agent registers again (W21).
    pub(crate) fn reconnect(&mut self, peer: Peer) {
        let before = self[peer].uuid.clone();
        let after = self.connect(peer);
        if before != after && self[peer].agent.is_some() {
            self.register(peer);
        }
    }

    /// Registers a peer's agent; the containers that it is told to end are ended.
    pub(crate) fn register(&mut self, peer: Peer) -> Vec<String> {
        let params = self[peer].agent.as_ref().unwrap().registration();
        let answer = self.ask(peer, "ar", params).unwrap();
        let end: Vec<String> = serde_json::from_value(answer).unwrap();
        for uuid in &end {
            self[peer].sim().containers.remove(uuid);
        }
        end
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The uuid in the answer to a get.
pub(crate) fn uuid_of(got: &Value) -> String {
    text(&got[0])
}

impl std::ops::Index<Peer> for World {
    type Output = PeerState;
    fn index(&self, peer: Peer) -> &PeerState {
        &self.peers[peer.0]
    }
}

impl std::ops::IndexMut<Peer> for World {
    fn index_mut(&mut self, peer: Peer) -> &mut PeerState {
        &mut self.peers[peer.0]
    }
}

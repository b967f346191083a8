//! The network server: the real registry over wires.

mod crowd;
mod fence;
mod outbound;
mod pings;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use huly_protocol::{Frame, Hello, HelloAnswer, HelloExt, Op, PROTOCOL_VERSION, Request, method};
use huly_registry::{Config, ConnId, Counted, Effect, Input, Now, Registry, Sizes, Snapshot};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Action, Came, Context, holders};
use crate::ledger::Seen;
use crate::sabotage::Sabotage;
use crate::wire::WireId;
pub(crate) use crowd::Crowd;
use fence::Fence;
pub(crate) use fence::Fencing;
use outbound::Outbound;
pub(crate) use reading::Reading;

/// The connection by which the simulation looks into the server.
const PROBE: &str = "probe";

/// Lets a registry do what is due, and no more: there may be somebody whose words wait to be read.
fn nothing() -> Input {
    Input::Room { conn: PROBE.into() }
}

/// For how long no start is dropped, so that there is something to be lost.
const STARTS: Duration = Duration::from_secs(3);

/// What it takes until little waits to be written to a connection.
const WRITING: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    registry: Registry,
    fence: Fence,
    /// Whether it is looked at how many containers agents have.
    counts: bool,
    /// What waits for peers, where some read slowly.
    outbound: Option<Outbound>,
    /// Connections that were cut, until a hello is heard over them again.
    cut: BTreeSet<ConnId>,
    /// Connections of clients.
    of_clients: BTreeSet<ConnId>,
    /// The session that was said over each connection, for a driver that keeps pings.
    sessions: BTreeMap<ConnId, String>,
    /// Connections of which it is awaited that little waits for them, and when that is so.
    roomy: BTreeMap<ConnId, Duration>,
    /// By the machine's monotonic clock.
    started: Duration,
}

impl Server {
    pub(crate) fn new(
        config: Config,
        counts: bool,
        slow: bool,
        now: Duration,
        wall_ms: u64,
    ) -> Self {
        let mono = Duration::ZERO;
        Self {
            registry: Registry::new(config, Now { mono, wall_ms }),
            fence: Fence::default(),
            counts,
            outbound: slow.then(Outbound::default),
            cut: BTreeSet::new(),
            of_clients: BTreeSet::new(),
            sessions: BTreeMap::new(),
            roomy: BTreeMap::new(),
            started: now,
        }
    }

    /// Leases that last exactly as long as the server waits for them, told to agents by
    /// [`sabotaged`].
    pub(crate) fn without_margin(config: Config) -> Config {
        Config {
            lease: config.lease * 4 / 5,
            former_lease: config.former_lease * 4 / 5,
            ..config
        }
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        let input = match came {
            Came::Frame { wire, frame } => {
                if frame.op == Op::Hello && self.is_cut(wire) {
                    // Its answer would be dropped.
                    return;
                }
                let conn = wire.name();
                Input::Message { conn, frame }
            }
            Came::Taken { wire, bytes } => {
                self.was_read(cx, wire, bytes);
                return self.hear_of_peers(cx);
            }
            Came::Closed { wire } => {
                self.is_over(wire);
                Input::Closed { conn: wire.name() }
            }
            Came::Clogged { wire } => {
                self.is_over(wire);
                cx.actions.push(Action::Close { wire });
                Input::Cut { conn: wire.name() }
            }
            Came::Start | Came::Wake => {
                self.give_room(cx);
                Input::Wake
            }
            Came::Dialed { .. } | Came::Knocked { .. } | Came::Lease { .. } | Came::Told(_) => {
                return;
            }
        };
        self.input(cx, input);
        self.hear_of_peers(cx);
    }

    fn note_connection(&mut self, input: &Input) {
        match input {
            Input::Cut { conn } => drop(self.cut.insert(conn.clone())),
            Input::Closed { conn } => {
                self.cut.remove(conn);
                self.of_clients.remove(conn);
            }
            Input::Message { conn, frame } if frame.op == Op::Hello => {
                self.cut.remove(conn);
                if frame.id.starts_with("client-") {
                    self.of_clients.insert(conn.clone());
                }
            }
            _ => {}
        }
    }

    /// Returns what is sent to the probe.
    fn input(&mut self, cx: &mut Context, input: Input) -> Vec<Frame> {
        let now = Now {
            mono: cx.now.saturating_sub(self.started),
            wall_ms: cx.wall_ms,
        };
        self.note_connection(&input);
        let heard = match &input {
            Input::Message { conn, frame } => self.fence.hears(conn, frame),
            Input::Closed { conn } | Input::Cut { conn } => {
                self.fence.forget(conn);
                None
            }
            _ => None,
        };
        if self.keeps_ping(cx, now.mono, &input) && self.answers_ping(cx, &input) {
            return Vec::new();
        }
        let input = match cx.sabotage {
            Some(Sabotage::SameNumbers) => fence::with_one_number(input),
            Some(sabotage) => crowd::with_other_kinds(sabotage, input),
            None => input,
        };
        let may = self.may_be_told(&input);
        let is_probe = matches!(&input, Input::Message { conn, .. } if conn == PROBE);
        let mut effects = Vec::new();
        if self.counts && !is_probe {
            // What comes now is not to be counted among what was there.
            effects.extend(self.registry.handle(now, nothing()));
            self.note_crowds(cx, &effects);
        }
        let due = effects.len();
        if let Some(heard) = heard {
            // What is due has nothing to do with what was said. That nobody waits to be read is not so.
            effects.extend(self.registry.handle(now, nothing()));
            let before = self.uncounted();
            let of_this = self.registry.handle(now, input);
            let changed = before != self.uncounted();
            cx.saw(Seen::Fencing(self.fence.judge(&heard, &of_this, changed)));
            effects.extend(of_this);
        } else {
            effects.extend(self.registry.handle(now, input));
        }
        if self.counts && !is_probe {
            self.note_crowds(cx, &effects[due..]);
        }
        let mut probed = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { conn, frame } if conn == PROBE => probed.push(frame),
                Effect::Send { conn, frame } => {
                    // Of a connection that was cut, the session goes on.
                    if frame.op == Op::AskHello
                        && !self.cut.contains(&conn)
                        && let Some(wire) = WireId::of_name(&conn)
                    {
                        cx.saw(Seen::AsksWho { wire });
                    }
                    if self.keeps_pings(cx) && frame.op == Op::Hello {
                        self.sessions.insert(conn.clone(), frame.id.clone());
                    }
                    let frame = match cx.sabotage {
                        Some(Sabotage::DropStarts) if now.mono < STARTS => Some(frame),
                        Some(sabotage) => sabotaged(sabotage, frame),
                        None => Some(frame),
                    };
                    if let (Some(wire), Some(frame)) = (WireId::of_name(&conn), frame) {
                        holders::note_sent(cx, wire, &frame);
                        self.send(cx, wire, frame);
                    }
                }
                Effect::AwaitRoom { conn } => self.await_room(cx, conn, may.as_ref()),
                Effect::Note { text } => {
                    if let Some((agent, silent)) = given_up(&text) {
                        cx.saw(Seen::GaveUp { agent, silent });
                    }
                    cx.tell(text);
                }
                Effect::Exit { reason } => cx.actions.push(Action::Exit { why: reason }),
            }
        }
        probed
    }

    fn uncounted(&self) -> Snapshot {
        Snapshot {
            counted: Counted::default(),
            ..self.registry.snapshot()
        }
    }

    /// What was to be written to those who await room is written.
    fn give_room(&mut self, cx: &mut Context) {
        let roomy = self.roomy.iter().filter(|(_, at)| **at <= cx.now);
        let roomy: Vec<ConnId> = roomy.map(|(conn, _)| conn.clone()).collect();
        for conn in roomy {
            self.roomy.remove(&conn);
            self.input(cx, Input::Room { conn });
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let wake = self.registry.next_wake().map(|at| self.started + at);
        let roomy = self.roomy.values().min().copied();
        let news = self
            .outbound
            .as_ref()
            .filter(|outbound| outbound.has_news());
        let news = news.map(|_| Duration::ZERO);
        wake.into_iter().chain(roomy).chain(news).min()
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.registry.sizes()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.registry.snapshot()
    }

    /// What the server would tell anybody of its agents or containers, asked over a connection of its
    /// own.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, cx: &mut Context, name: &str) -> Vec<T> {
        let hello = Hello {
            alive_timeout: None,
            huly: Some(HelloExt {
                v: PROTOCOL_VERSION,
                nonce: PROBE.to_owned(),
                features: Vec::new(),
                term: 0,
                secret: None,
                fencing: None,
            }),
        };
        let hello = serde_json::to_vec(&hello).unwrap_or_default();
        let list = Request::payload(name, "{}");
        let said = [
            Frame::new(Op::Hello, PROBE, hello),
            Frame::new(Op::Request, PROBE, list),
            Frame::bare(Op::Close),
        ];
        let mut answers = Vec::new();
        for frame in said {
            let conn = PROBE.into();
            answers.extend(self.input(cx, Input::Message { conn, frame }));
        }
        let answer = answers.iter().find(|frame| frame.op == Op::Response);
        answer
            .and_then(|frame| serde_json::from_slice(&frame.payload).ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

/// The agent that a line of the log says is taken for gone, and whether that is by its silence, not by
/// its connection's end.
fn given_up(text: &str) -> Option<(String, bool)> {
    let (agent, why) = text.strip_prefix("agent ")?.split_once(" is gone (")?;
    let silent = why.starts_with("AgentSilent");
    let missed = silent || why.starts_with("ConnectionClosed");
    missed.then(|| (agent.to_owned(), silent))
}

/// The message as it is sent; nothing of one that is dropped.
fn sabotaged(sabotage: Sabotage, frame: Frame) -> Option<Frame> {
    let is = |name: &str| {
        frame.op == Op::Request && Request::read(&frame.payload).is_ok_and(|r| r.method == name)
    };
    let told = |what: &str| {
        frame.op == Op::Event
            && serde_json::from_slice::<Value>(&frame.payload).is_ok_and(|event| {
                event
                    .get(what)
                    .is_some_and(|told| told.get("snapshot").is_none())
            })
    };
    let altered = |alter: &dyn Fn(&mut Value)| {
        let mut call: Value = serde_json::from_slice(&frame.payload).ok()?;
        // A TypeScript agent is told nothing beside it.
        call[1].get_mut(2).map(alter);
        let payload = serde_json::to_vec(&call).ok()?;
        Some(Frame::new(frame.op, frame.id.clone(), payload))
    };
    // A call to an agent: [method, [agent, params, ext]].
    match sabotage {
        Sabotage::DropStarts if is(method::GET) => None,
        Sabotage::OneEpochForAll if is(method::GET) => altered(&|beside| {
            beside["epoch"][1] = json!(1);
        }),
        Sabotage::EmptyFeed if told("feed") => {
            let mut event: Value = serde_json::from_slice(&frame.payload).ok()?;
            event["feed"]["containers"] = json!([]);
            let payload = serde_json::to_vec(&event).ok()?;
            Some(Frame::new(frame.op, frame.id, payload))
        }
        Sabotage::DropMoves if told("held") || told("containers") => None,
        Sabotage::ForgetSpecs if is(method::GET) => altered(&|beside| {
            beside["spec"] = Value::Null;
        }),
        Sabotage::DropSpecs if is(method::SET_KIND) => None,
        Sabotage::DropHolders if is(method::SET_HOLDERS) => None,
        Sabotage::DropHolders if is(method::GET) => altered(&|beside| {
            beside["holders"] = json!([]);
        }),
        Sabotage::NoMargin if frame.op == Op::Hello => {
            let mut hello: HelloAnswer = match serde_json::from_slice(&frame.payload) {
                Ok(hello) => hello,
                Err(_) => return Some(frame),
            };
            hello.limits.lease_ms = hello.limits.lease_ms * 5 / 4;
            let payload = serde_json::to_vec(&hello).ok()?;
            Some(Frame::new(frame.op, frame.id, payload))
        }
        _ => Some(frame),
    }
}

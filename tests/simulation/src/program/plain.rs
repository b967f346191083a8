//! TypeScript-like peers, as far as it matters what they put on the wire and when: what they do at a
//! hello, that they never give a connection up by themselves, and that their calls have no deadline.

pub(crate) mod agent;
pub(crate) mod client;
mod direct;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{Frame, NetworkEvent, Op, Request};
use serde_json::{Value, json};

use super::link::dials_of;
use super::{Action, Came, Context, Target};
use crate::wire::WireId;

/// Between two pings (W07).
const PING_EVERY: Duration = Duration::from_secs(1);
/// After how long the socket dials again (W22).
const DIAL_AGAIN: Duration = Duration::from_millis(100);
/// Messages that its socket keeps for a connection.
const MOST_UNSENT: usize = 1_000;
/// What a tick of a retry is (W29).
const TICK: Duration = Duration::from_millis(500);

/// What a session tells its peer.
#[derive(Debug)]
pub(super) enum Heard {
    /// The uuid in the hello changed: register, get again, and send what is pending again (W21).
    Fresh,
    /// A request was answered, or failed with a text.
    Answer {
        request: u64,
        result: Result<Value, String>,
    },
    /// A request that had been answered was answered again: it was sent once more, as a retry was due,
    /// to who does not know of the answer (W29).
    Again { result: Value },
    /// Events, merged to a batch.
    Events(NetworkEvent),
    /// The server calls.
    Call {
        id: String,
        method: String,
        params: Value,
    },
}

/// A connection, and what the server's hello over it said: who answers there knows what it answered.
type Where = (Option<WireId>, Option<String>);

/// A session as the original client keeps it.
#[derive(Debug)]
pub(super) struct PlainSession {
    client: String,
    /// The ROUTER that it talks to.
    to: Target,
    wire: Option<WireId>,
    dial: u64,
    dialing: bool,
    /// What the server's hello said last.
    uuid: Option<String>,
    next_ping: Duration,
    requests: u64,
    pending: BTreeMap<u64, Bytes>,
    /// Requests that were refused for now, and when they are sent again, answered or not.
    retries: Vec<(Duration, u64, Bytes)>,
    /// Where those among these were answered that are.
    answered: BTreeMap<u64, Where>,
    /// Requests that were sent elsewhere than where they had been answered.
    sent_late: BTreeSet<u64>,
    /// What waits in the socket for a connection: it goes out before the hello.
    unsent: Vec<Frame>,
}

impl PlainSession {
    pub(super) fn new(client: String) -> Self {
        Self::to(client, Target::Server, 0)
    }

    /// One of several of a process, with its number; that to the server has 0.
    pub(super) fn to(client: String, to: Target, number: u64) -> Self {
        Self {
            client,
            to,
            wire: None,
            dial: dials_of(number),
            dialing: false,
            uuid: None,
            next_ping: Duration::ZERO,
            requests: 0,
            pending: BTreeMap::new(),
            retries: Vec::new(),
            answered: BTreeMap::new(),
            sent_late: BTreeSet::new(),
            unsent: Vec::new(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        let retries = self.retries.iter().map(|(at, ..)| *at);
        retries.chain([self.next_ping]).min()
    }

    /// The number of a request, by which its answer is told.
    pub(super) fn request(&mut self, cx: &mut Context, method: &str, params: &Value) -> u64 {
        self.requests += 1;
        let payload = Request::payload(method, &params.to_string());
        self.pending.insert(self.requests, payload.clone());
        // Before the first hello is answered it waits; after that hello is not waited for.
        if self.uuid.is_some() {
            self.send_request(cx, self.requests, payload);
        }
        self.requests
    }

    pub(super) fn wire(&self) -> Option<WireId> {
        self.wire
    }

    pub(super) fn answer(&mut self, cx: &mut Context, id: String, result: Result<Value, &str>) {
        let (op, payload) = match result {
            Ok(value) => (Op::Response, value.to_string()),
            Err(message) => {
                let error = json!({ "message": message, "stack": "" });
                (Op::ResponseError, error.to_string())
            }
        };
        self.send(cx, Frame::new(op, id, payload));
    }

    pub(super) fn hang_up(&mut self, cx: &mut Context) {
        self.send(cx, Frame::bare(Op::Close));
        if let Some(wire) = self.wire.take() {
            cx.actions.push(Action::Close { wire });
        }
    }

    pub(super) fn leave(&mut self, cx: &mut Context) {
        self.hang_up(cx);
        let why = "it left".to_owned();
        cx.actions.push(Action::Exit { why });
    }

    fn send(&mut self, cx: &mut Context, frame: Frame) {
        match self.wire {
            Some(wire) => cx.send(wire, frame),
            None if self.unsent.len() < MOST_UNSENT => self.unsent.push(frame),
            None => {}
        }
    }

    fn send_request(&mut self, cx: &mut Context, request: u64, payload: Bytes) {
        let id = format!("{}-{request}", self.client);
        self.send(cx, Frame::new(Op::Request, id, payload));
    }

    /// Sends all that is pending again, in the order in which it was asked for.
    pub(super) fn resend(&mut self, cx: &mut Context) {
        self.resend_first(cx);
        self.resend_rest(cx);
    }

    /// The first of it: it goes out before agents are registered, which waits for their containers.
    pub(super) fn resend_first(&mut self, cx: &mut Context) {
        if let Some((request, payload)) = self.pending.clone().pop_first() {
            self.send_request(cx, request, payload);
        }
    }

    pub(super) fn resend_rest(&mut self, cx: &mut Context) {
        for (request, payload) in self.pending.clone().into_iter().skip(1) {
            self.send_request(cx, request, payload);
        }
    }

    fn hello(&mut self, cx: &mut Context) {
        let payload = json!({ "aliveTimeout": 3 }).to_string();
        self.send(cx, Frame::new(Op::Hello, self.client.clone(), payload));
    }

    fn dial(&mut self, cx: &mut Context, after: Duration) {
        self.dial += 1;
        self.dialing = true;
        let dial = self.dial;
        let to = self.to.clone();
        cx.actions.push(Action::Dial { dial, after, to });
    }

    pub(super) fn take(&mut self, cx: &mut Context, came: Came) -> Option<Heard> {
        match came {
            Came::Start => self.dial(cx, Duration::ZERO),
            Came::Dialed { dial, wire } if dial == self.dial && self.dialing => {
                self.dialing = false;
                self.wire = wire;
                match wire {
                    // W04: at every connection.
                    Some(_) => {
                        for frame in std::mem::take(&mut self.unsent) {
                            self.send(cx, frame);
                        }
                        self.hello(cx);
                    }
                    None => self.dial(cx, DIAL_AGAIN),
                }
            }
            Came::Closed { wire } | Came::Clogged { wire } if self.wire == Some(wire) => {
                cx.actions.push(Action::Close { wire });
                self.wire = None;
                self.dial(cx, DIAL_AGAIN);
            }
            Came::Wake => self.wake(cx),
            Came::Frame { wire, frame } if self.wire == Some(wire) => {
                return self.frame(cx, frame);
            }
            _ => {}
        }
        None
    }

    fn wake(&mut self, cx: &mut Context) {
        if self.next_ping <= cx.now {
            self.next_ping = cx.now + PING_EVERY;
            self.send(cx, Frame::bare(Op::Ping));
        }
        let now = cx.now;
        let due: Vec<_> = self.retries.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, request, payload) in due {
            let answered = self.answered.get(&request);
            if answered.is_some_and(|there| *there != self.here()) {
                self.sent_late.insert(request);
            }
            self.send_request(cx, request, payload);
        }
        let retries = &self.retries;
        let waits = |request: &u64| retries.iter().any(|(_, of, _)| of == request);
        self.answered.retain(|request, _| waits(request));
    }

    fn frame(&mut self, cx: &mut Context, frame: Frame) -> Option<Heard> {
        match frame.op {
            Op::Hello => {
                let before = self.uuid.replace(frame.id.clone());
                (before != Some(frame.id)).then_some(Heard::Fresh)
            }
            Op::AskHello => {
                self.uuid = self.uuid.take().map(|_| String::new());
                self.hello(cx);
                None
            }
            Op::Retry => {
                let ticks: f64 = serde_json::from_slice(&frame.payload).unwrap_or(1.0);
                let request = self.number(&frame.id)?;
                let payload = self.pending.get(&request)?.clone();
                let at = cx.now + TICK.mul_f64(ticks);
                self.retries.push((at, request, payload));
                None
            }
            Op::Response | Op::ResponseError => {
                let request = self.number(&frame.id)?;
                let said: Value = serde_json::from_slice(&frame.payload).unwrap_or_default();
                if self.pending.remove(&request).is_none() {
                    let again = frame.op == Op::Response && self.sent_late.contains(&request);
                    return again.then_some(Heard::Again { result: said });
                }
                if self.retries.iter().any(|(_, of, _)| *of == request) {
                    self.answered.insert(request, self.here());
                }
                let result = match frame.op {
                    Op::Response => Ok(said),
                    _ => Err(said["message"].as_str().unwrap_or_default().to_owned()),
                };
                Some(Heard::Answer { request, result })
            }
            Op::Request => {
                let (method, params): (String, Value) =
                    serde_json::from_slice(&frame.payload).ok()?;
                let id = frame.id;
                Some(Heard::Call { id, method, params })
            }
            Op::Event => Some(Heard::Events(serde_json::from_slice(&frame.payload).ok()?)),
            Op::Ping | Op::Pong | Op::Close => None,
        }
    }

    fn here(&self) -> Where {
        (self.wire, self.uuid.clone())
    }

    fn number(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix(self.client.as_str())?.strip_prefix('-')?;
        number.parse().ok()
    }
}

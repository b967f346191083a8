//! A client of ours: the real session, with what comes to it and of its calls.

mod direct;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{ErrorCode, GotContainer, Op};
use huly_session::direct::{ContainerRequest, Setback};
use huly_session::{CallError, Config, Effect, Input, Token};

use direct::Directs;
pub(crate) use wishes::Wishes;

use super::feed::Belief;
use super::link::Link;
use super::{Action, Came, Context, Told};
use crate::ledger::{Outcome, Seen};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::tries::number_of;
use crate::words;

#[derive(Debug)]
enum Waits {
    Get {
        kind: String,
        uuid: Option<String>,
    },
    Request {
        op: u64,
    },
    /// A request on its direct route.
    Direct {
        op: u64,
        request: Box<ContainerRequest>,
        began: Duration,
    },
    /// The answer of an agent that is to send a container's events.
    Connect {
        uuid: String,
        attempt: u64,
    },
    Other,
}

/// The id of what is refused by what comes.
fn refused(came: &Came) -> Option<String> {
    match came {
        Came::Frame { frame, .. } if frame.op == Op::ResponseError => Some(frame.id.clone()),
        _ => None,
    }
}

impl Waits {
    /// What a story calls it.
    fn what(&self) -> String {
        match self {
            Self::Get {
                uuid: Some(uuid), ..
            } => uuid.clone(),
            Self::Get { kind, .. } => format!("a {kind}"),
            Self::Request { op } | Self::Direct { op, .. } => format!("request {op}"),
            Self::Connect { uuid, .. } => format!("events of {uuid}"),
            Self::Other => "a call".to_owned(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ClientProgram {
    link: Link,
    /// How often one of its connections was up.
    connections: u64,
    directs: Directs,
    wishes: Wishes,
    random: Random,
    /// The first number of requests of this process.
    ops: u64,
    tokens: u64,
    waits: BTreeMap<Token, Waits>,
    /// One for each handle.
    handles: Vec<String>,
    /// Requests without an end that are idempotent.
    idempotent: BTreeSet<u64>,
    rests: bool,
    /// It has said that it leaves.
    has_left: bool,
    next_wish: Duration,
    /// What it believes of the network, if it subscribed.
    belief: Option<Belief>,
}

impl ClientProgram {
    pub(crate) fn new(
        config: Config,
        wishes: Wishes,
        random: Random,
        ops: u64,
        now: Duration,
    ) -> Self {
        Self {
            directs: Directs::new(config.clone()),
            link: Link::new(config),
            connections: 0,
            wishes,
            random,
            ops,
            tokens: 0,
            waits: BTreeMap::new(),
            handles: Vec::new(),
            idempotent: BTreeSet::new(),
            rests: false,
            has_left: false,
            next_wish: now,
            belief: None,
        }
    }

    pub(crate) fn held(&self) -> Vec<String> {
        let held = self.link.session().held();
        held.keys().map(|uuid| (*uuid).to_owned()).collect()
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn belief(&self) -> Option<&Belief> {
        self.belief.as_ref()
    }

    /// What its callers wait for.
    pub(crate) fn waits(&self) -> usize {
        self.waits.len()
    }

    /// What they wait for by direct connections.
    pub(crate) fn waits_directly(&self) -> usize {
        let all = self.waits.values();
        let directly =
            all.filter(|waits| matches!(waits, Waits::Direct { .. } | Waits::Connect { .. }));
        directly.count()
    }

    /// How often it left a container to which it was connected, of late.
    pub(crate) fn left_lately(&self) -> usize {
        self.directs.left_lately()
    }

    /// Its calls to the server without an answer that are no requests to containers.
    pub(crate) fn calls(&self) -> usize {
        let all = self.waits.values();
        let requests = all.filter(|waits| matches!(waits, Waits::Request { .. }));
        let pending = self.link.session().pending();
        pending.saturating_sub(requests.count())
    }

    /// Whether it has said that it leaves: its session may be over.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left
    }

    pub(crate) fn handles(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn direct_links(&self) -> Vec<&Link> {
        self.directs.links()
    }

    pub(crate) fn pending(&self) -> usize {
        self.link.session().pending() + self.directs.pending()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let wish = (!self.rests).then_some(self.next_wish);
        [
            wish,
            self.link.session().next_wake(),
            self.directs.next_wake(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::Rest) => self.rests = true,
            Came::Told(Told::LetGo) => {
                self.disconnect_all(cx);
                while let Some(uuid) = self.handles.pop() {
                    self.release(cx, uuid);
                }
            }
            Came::Told(Told::Leave) => {
                self.has_left = true;
                self.input(cx, Input::Close);
            }
            Came::Told(Told::LoseContainer | Told::Kinds(_)) => {}
            came => {
                let starts = matches!(came, Came::Start);
                if matches!(&came, Came::Frame { frame, .. } if frame.op == Op::Retry) {
                    self.sends_again(cx);
                }
                if let Some(came) = self.take_direct(cx, came) {
                    let refused = self.note_tries(cx, &came);
                    let effects = self.link.take(cx, came);
                    self.effects(cx, effects);
                    if let Some(id) = refused {
                        cx.saw(Seen::Refused { id });
                    }
                }
                if starts && self.wishes.watches {
                    self.watch(cx);
                }
            }
        }
        self.look_after_directs(cx);
        if !self.rests && self.next_wish <= cx.now {
            self.next_wish = cx.now + self.random.millis(0..self.wishes.pause_ms);
            self.wish(cx);
        }
    }

    /// What comes from the server may make tries of what has no answer: those of a fresh session are
    /// made at once. Returns the id of what is refused, which may be tried again.
    fn note_tries(&self, cx: &mut Context, came: &Came) -> Option<String> {
        let Came::Frame { frame, .. } = came else {
            return None;
        };
        if frame.op == Op::Hello && self.link.session().uuid() != Some(&frame.id) {
            for waits in self.waits.values() {
                if let Waits::Request { op } = waits {
                    cx.saw(Seen::TriesAnew { op: *op });
                }
            }
        }
        refused(came)
    }

    /// Subscribes to the feed, or begins again.
    fn watch(&mut self, cx: &mut Context) {
        self.belief = Some(Belief::default());
        self.input(cx, Input::Watch);
    }

    fn input(&mut self, cx: &mut Context, input: Input) {
        let effects = self.link.input(cx, input);
        self.effects(cx, effects);
    }

    fn effects(&mut self, cx: &mut Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answered { token, result } => {
                    let late =
                        matches!(&result, Err(error) if error.code() == Some(ErrorCode::TimedOut));
                    if !(late && cx.does(Sabotage::DropTimeouts)) {
                        self.answered(cx, token, result);
                    }
                }
                Effect::Got { token, result } => self.got(cx, token, result),
                Effect::Held(event) => {
                    if let Some(epoch) = event.placement.and_then(|at| at.epoch) {
                        let uuid = event.uuid;
                        cx.saw(Seen::Life { uuid, epoch });
                    }
                }
                Effect::Feed(update) => {
                    if let Some(belief) = &mut self.belief {
                        belief.take(update);
                    }
                }
                Effect::Up { .. } => self.is_up(cx),
                Effect::Stopped(reason) => {
                    let why = format!("the session is over: {}", words::of_stop(&reason));
                    cx.actions.push(Action::Exit { why });
                }
                _ => {}
            }
        }
    }

    fn answered(
        &mut self,
        cx: &mut Context,
        token: Token,
        result: Result<bytes::Bytes, CallError>,
    ) {
        let op = match self.waits.remove(&token) {
            Some(Waits::Request { op }) => op,
            Some(Waits::Direct { op, request, began }) => {
                if let Err(error) = &result
                    && self.goes_on(cx, op, *request, began, error)
                {
                    return;
                }
                op
            }
            Some(Waits::Connect { uuid, attempt }) => {
                let result = result.map(drop).map_err(|error| Setback::from(&error));
                return self.connect_answered(cx, &uuid, attempt, result);
            }
            Some(_) => {
                let (call, code) = (token, result.err().and_then(|error| error.code()));
                return cx.saw(Seen::Called { call, code });
            }
            None => return,
        };
        let mut outcome = match result {
            Ok(answer) => Outcome::Answer {
                fits: serde_json::from_slice(&answer).ok().map(number_of) == Some(op),
            },
            Err(error) => Outcome::Error(error.code()),
        };
        let claims = match self.idempotent.remove(&op) {
            true => cx.does(Sabotage::ClaimTryNotRun),
            false => cx.does(Sabotage::ClaimNotRun),
        };
        if claims && matches!(outcome, Outcome::Error(_)) {
            outcome = Outcome::Error(Some(ErrorCode::Interrupted));
        }
        if let Outcome::Error(code) = outcome {
            cx.tell(format!("request {op} failed: {}", words::of_code(code)));
        }
        cx.saw(Seen::Done { op, outcome });
    }

    fn got(&mut self, cx: &mut Context, token: Token, result: Result<GotContainer, CallError>) {
        let failed = result.as_ref().err();
        let code = match cx.does(Sabotage::ClaimNoKind) {
            true => failed.map(|_| ErrorCode::NoSuchKind),
            false => failed.and_then(CallError::code),
        };
        cx.saw(Seen::Called { call: token, code });
        let waited = self.waits.remove(&token);
        let what = waited.as_ref().map(Waits::what).unwrap_or_default();
        match result {
            Ok(got) => {
                if let Some(Waits::Get {
                    uuid: Some(asked), ..
                }) = waited
                {
                    let got = got.uuid.clone();
                    cx.saw(Seen::Got { asked, got });
                }
                if let Some(epoch) = got.placement.as_ref().and_then(|at| at.epoch) {
                    let uuid = got.uuid.clone();
                    cx.saw(Seen::Life { uuid, epoch });
                }
                cx.tell(format!("holds {}", got.uuid));
                self.handles.push(got.uuid);
            }
            Err(error) => {
                if let (
                    Some(Waits::Get {
                        uuid: Some(asked), ..
                    }),
                    CallError::Protocol(got),
                ) = (waited, &error)
                {
                    let got = got.clone();
                    cx.saw(Seen::Got { asked, got });
                }
                let why = words::of_error(&error);
                cx.tell(format!("its get of {what} failed: {why}"));
            }
        }
    }

    /// One of its connections is up, for the first time or again.
    fn is_up(&mut self, cx: &mut Context) {
        self.connections += 1;
        self.sends_again(cx);
    }

    /// What has no answer may go out once more.
    fn sends_again(&self, cx: &mut Context) {
        for waits in self.waits.values() {
            if let Waits::Request { op } | Waits::Direct { op, .. } = waits {
                cx.saw(Seen::SentAgain { op: *op });
            }
        }
    }

    fn token(&mut self, waits: Waits) -> Token {
        self.tokens += 1;
        self.waits.insert(self.tokens, waits);
        self.tokens
    }
}

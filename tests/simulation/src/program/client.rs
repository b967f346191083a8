//! A client of ours: the real session, and a caller that gets, asks and releases at random.

mod direct;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{ErrorCode, GetExt, GetParams, GetRequest, GotContainer, Json};
use huly_session::direct::{ContainerRequest, Setback};
use huly_session::{CallError, Config, Effect, Input, Location, Token};

use direct::Directs;

use super::feed::Belief;
use super::link::Link;
use super::{Action, Came, Context, Told};
use crate::ledger::{Outcome, Seen};
use crate::random::Random;
use crate::sabotage::Sabotage;

/// Handles that a client keeps at most.
const MOST_HANDLES: usize = 6;

/// What callers ask for.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// Containers that all clients share, with their kinds.
    pub(crate) uuids: Vec<(String, String)>,
    /// Kinds of which containers are got without a uuid.
    pub(crate) kinds: Vec<String>,
    /// Whether it subscribes to the feed.
    pub(crate) watches: bool,
    /// Whether it connects to containers directly.
    pub(crate) connects: bool,
    /// The longest time between two wishes, in ms.
    pub(crate) pause_ms: u64,
}

#[derive(Debug)]
enum Waits {
    Get {
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

#[derive(Debug)]
pub(crate) struct ClientProgram {
    link: Link,
    directs: Directs,
    wishes: Wishes,
    random: Random,
    /// The first number of requests of this process.
    ops: u64,
    tokens: u64,
    waits: BTreeMap<Token, Waits>,
    /// One for each handle.
    handles: Vec<String>,
    rests: bool,
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
            wishes,
            random,
            ops,
            tokens: 0,
            waits: BTreeMap::new(),
            handles: Vec::new(),
            rests: false,
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
            Came::Told(Told::Leave) => self.input(cx, Input::Close),
            Came::Told(Told::LoseContainer | Told::Kinds(_)) => {}
            came => {
                let starts = matches!(came, Came::Start);
                if let Some(came) = self.take_direct(cx, came) {
                    let effects = self.link.take(cx, came);
                    self.effects(cx, effects);
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

    /// Subscribes to the feed, or begins again.
    fn watch(&mut self, cx: &mut Context) {
        self.belief = Some(Belief::default());
        self.input(cx, Input::Watch);
    }

    /// Subscribes to the feed, or ends that.
    fn watch_or_not(&mut self, cx: &mut Context) {
        if self.random.percent(70) {
            return self.watch(cx);
        }
        self.belief = None;
        self.input(cx, Input::Unwatch);
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
                Effect::Feed(update) => {
                    if let Some(belief) = &mut self.belief {
                        belief.take(update);
                    }
                }
                Effect::Stopped(reason) => {
                    let why = format!("the session is over: {reason:?}");
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
            Some(_) => return cx.saw(Seen::Called { call: token }),
            None => return,
        };
        let mut outcome = match result {
            Ok(answer) => Outcome::Answer {
                fits: serde_json::from_slice::<u64>(&answer).ok() == Some(op),
            },
            Err(error) => Outcome::Error(error.code()),
        };
        if cx.does(Sabotage::ClaimNotRun) && matches!(outcome, Outcome::Error(_)) {
            outcome = Outcome::Error(Some(ErrorCode::Interrupted));
        }
        if let Outcome::Error(code) = outcome {
            cx.tell(format!("request {op} failed: {code:?}"));
        }
        cx.saw(Seen::Done { op, outcome });
    }

    fn got(&mut self, cx: &mut Context, token: Token, result: Result<GotContainer, CallError>) {
        cx.saw(Seen::Called { call: token });
        self.waits.remove(&token);
        match result {
            Ok(got) => {
                cx.tell(format!("holds {}", got.uuid));
                self.handles.push(got.uuid);
            }
            Err(error) => cx.tell(format!("a get failed: {:?}", error.code())),
        }
    }

    fn token(&mut self, waits: Waits) -> Token {
        self.tokens += 1;
        self.waits.insert(self.tokens, waits);
        self.tokens
    }

    fn wish(&mut self, cx: &mut Context) {
        if self.wishes.watches && self.random.percent(3) {
            return self.watch_or_not(cx);
        }
        if self.wishes.connects && self.random.percent(10) {
            return self.connect_or_not(cx);
        }
        match self.random.of(0..100) {
            _ if self.handles.is_empty() => self.get(cx),
            0..15 if self.handles.len() < MOST_HANDLES => self.get(cx),
            15..25 => {
                let at = self.random.index(self.handles.len());
                let uuid = self.handles.swap_remove(at);
                if !self.handles.contains(&uuid) {
                    self.disconnect(cx, &uuid);
                }
                self.release(cx, uuid);
            }
            25..28 => self.cancel(cx),
            28..36 => {
                // Of a container that may or may not be held.
                let uuids = &self.wishes.uuids;
                if let Some((uuid, _)) = self.random.pick(uuids) {
                    let uuid = uuid.clone();
                    self.ask(cx, uuid);
                }
            }
            _ => {
                if let Some(uuid) = self.random.pick(&self.handles) {
                    let uuid = uuid.clone();
                    self.ask(cx, uuid);
                }
            }
        }
    }

    /// Connects to a container that is held, or ends that.
    fn connect_or_not(&mut self, cx: &mut Context) {
        let Some(uuid) = self.random.pick(&self.handles).cloned() else {
            return;
        };
        match self.random.percent(75) {
            true => self.connect(cx, uuid),
            false => self.disconnect(cx, &uuid),
        }
    }

    fn get(&mut self, cx: &mut Context) {
        let timeout = self.random.millis(1_000..10_000);
        let mut request = GetRequest::default();
        let mut ext = GetExt::default();
        let kind = if self.random.percent(70) {
            let Some((uuid, kind)) = self.random.pick(&self.wishes.uuids) else {
                return;
            };
            request.uuid = Some(uuid.clone());
            kind.clone()
        } else {
            let Some(kind) = self.random.pick(&self.wishes.kinds).cloned() else {
                return;
            };
            match self.random.of(0..3) {
                0 => request.labels = Some(vec![format!("label-{}", self.random.of(0..2))]),
                1 => ext.new = true,
                _ => {}
            }
            kind
        };
        let uuid = request.uuid.clone();
        let token = self.token(Waits::Get { uuid });
        let call = token;
        cx.saw(Seen::Calls { call, timeout });
        let params = GetParams {
            kind,
            request,
            huly: Some(ext),
        };
        let input = Input::Get {
            token,
            params,
            raw: false,
            timeout: Some(timeout),
        };
        self.input(cx, input);
    }

    fn release(&mut self, cx: &mut Context, uuid: String) {
        cx.tell(format!("releases {uuid}"));
        let token = Some(self.token(Waits::Other));
        let raw = false;
        self.input(cx, Input::Release { token, uuid, raw });
    }

    /// Nobody waits for a call any more.
    fn cancel(&mut self, cx: &mut Context) {
        let gets: BTreeSet<Token> = self
            .waits
            .iter()
            .filter(|(_, waits)| matches!(waits, Waits::Get { .. }))
            .map(|(token, _)| *token)
            .collect();
        if let Some(token) = gets.first().copied() {
            if let Some(Waits::Get { uuid }) = self.waits.remove(&token) {
                cx.tell(format!("waits no longer for its get of {uuid:?}"));
            }
            cx.saw(Seen::Called { call: token });
            self.input(cx, Input::Cancel { token });
        }
    }

    fn ask(&mut self, cx: &mut Context, uuid: String) {
        self.ops += 1;
        let op = self.ops;
        let timeout = self.random.millis(300..8_000);
        let idempotent = self.random.percent(20);
        let Ok(data) = Json::of(&op) else { return };
        // As a reference of the client crate knows it.
        let held = self.handles.contains(&uuid);
        let location = self.link.session().location(&uuid).filter(|_| held);
        let request = ContainerRequest {
            timeout: Some(timeout),
            idempotent,
            epoch: location.and_then(Location::epoch),
            ..ContainerRequest::new(uuid.as_str(), "count", data)
        };
        cx.tell(format!("request {op} to {uuid}"));
        cx.saw(Seen::Asked {
            op,
            timeout,
            idempotent,
        });
        self.send_request(cx, op, request);
    }
}

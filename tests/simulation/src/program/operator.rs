//! The operator as the network sees it: it wants a set of containers to live, holds them durably,
//! and says the full set. Its own core is not part of the simulation.

mod candidacy;
mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{GetExt, GetParams, GetRequest, Json, KindSpec, Sync, Synced, method};
use huly_session::{Call, Config, Effect, Input, StopReason, Token};

use super::link::Link;
use super::{Action, Came, Context, Told};
use crate::ledger::{Durable, Seen};
use crate::words;
pub(crate) use candidacy::Candidacy;
use candidacy::Turn;

/// The client id that all operators have.
pub(crate) const OPERATOR: &str = "operator";

/// After how long it tries again what failed, and looks whether all is as it should be.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it says the full set.
const SYNC_EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Waits {
    Get(String),
    Sync,
    /// A specification, or the end of them.
    Kind {
        last: bool,
    },
}

#[derive(Debug)]
pub(crate) struct OperatorProgram {
    link: Link,
    /// What the session of each leadership is made with.
    config: Config,
    /// Of one of several, which has a session only while it leads.
    candidacy: Option<Candidacy>,
    /// Whether it has one, and how many it has had.
    active: bool,
    led: u64,
    /// What is to live, with its kind.
    wanted: BTreeMap<String, String>,
    /// The specifications of kinds, and whether this session of the server's was told all.
    specs: BTreeMap<String, KindSpec>,
    kinds_told: bool,
    waits: BTreeMap<Token, Waits>,
    got: BTreeSet<String>,
    tokens: u64,
    syncs: bool,
    next_sync: Duration,
    next_try: Duration,
}

impl OperatorProgram {
    pub(crate) fn new(
        config: Config,
        wanted: BTreeMap<String, String>,
        specs: BTreeMap<String, KindSpec>,
        candidacy: Option<Candidacy>,
        now: Duration,
    ) -> Self {
        Self {
            link: Link::new(config.clone()),
            config,
            active: candidacy.is_none(),
            candidacy,
            led: 0,
            wanted,
            specs,
            kinds_told: false,
            waits: BTreeMap::new(),
            got: BTreeSet::new(),
            tokens: 0,
            syncs: false,
            next_sync: now,
            next_try: now,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn held(&self) -> Vec<String> {
        let held = self.link.session().held();
        held.keys().map(|uuid| (*uuid).to_owned()).collect()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let session = self.link.session().next_wake().into_iter();
        let of_session = session.chain([self.next_try]).filter(|_| self.active);
        let candidacy = self.candidacy.as_ref().and_then(Candidacy::next_wake);
        of_session.chain(candidacy).min()
    }

    /// Whether it has a session, or wants one.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether the server has let it in.
    pub(crate) fn is_up(&self) -> bool {
        self.active && self.link.session().is_up()
    }

    /// Until when it leads, by its own clock: one of several.
    pub(crate) fn leads_until(&self) -> Option<Duration> {
        self.candidacy.as_ref()?.leads_until()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::LetGo) => {
                let wanted = std::mem::take(&mut self.wanted);
                for uuid in wanted.into_keys() {
                    self.got.remove(&uuid);
                    cx.tell(format!("releases {uuid}"));
                    let (token, raw) = (None, true);
                    if self.active {
                        self.input(cx, Input::Release { token, uuid, raw });
                    }
                }
            }
            Came::Told(Told::Kinds(specs)) => {
                self.specs = specs;
                self.tell_kinds(cx);
            }
            Came::Told(_) => {}
            Came::Lease { request, answer } => {
                let candidacy = self.candidacy.as_mut();
                let turns = candidacy.map(|it| it.answered(cx, request, answer));
                self.turn(cx, turns.unwrap_or_default());
            }
            came if self.active => {
                let effects = self.link.take(cx, came);
                self.effects(cx, effects);
            }
            // It has no session any more.
            Came::Dialed {
                wire: Some(wire), ..
            } => cx.actions.push(Action::Close { wire }),
            _ => {}
        }
        let candidacy = self.candidacy.as_mut();
        let turns = candidacy.map(|candidacy| candidacy.wake(cx));
        self.turn(cx, turns.unwrap_or_default());
        if self.active && self.next_try <= cx.now {
            self.next_try = cx.now + AGAIN;
            self.look(cx);
        }
    }

    fn turn(&mut self, cx: &mut Context, turns: Vec<Turn>) {
        for turn in turns {
            self.end_session(cx);
            if let Turn::Lead(number) = turn {
                self.begin_session(cx, number);
            }
        }
    }

    fn end_session(&mut self, cx: &mut Context) {
        for (token, _) in self
            .waits
            .iter()
            .filter(|(_, waits)| waits.uuid().is_some())
        {
            cx.call_ends(*token);
        }
        self.active = false;
        self.link.hang_up(cx);
        self.led += 1;
        self.link = Link::next(self.config.clone(), self.led);
        self.kinds_told = false;
        self.syncs = false;
        self.waits.clear();
        self.got.clear();
    }

    fn begin_session(&mut self, cx: &mut Context, number: u64) {
        let (led, of) = (self.led, &self.config);
        let config = Config {
            fencing: Some(number),
            nonce: format!("{}.{led}", of.nonce),
            request_prefix: format!("{}{led}-", of.request_prefix),
            ..of.clone()
        };
        self.link = Link::next(config, led);
        self.active = true;
        self.next_sync = cx.now;
        self.next_try = cx.now;
        self.input(cx, Input::Start);
    }

    /// Gets what it has not, and says now and then what it wants.
    fn look(&mut self, cx: &mut Context) {
        if !self.link.session().is_up() {
            return;
        }
        if !self.kinds_told {
            let kind = |waits: &Waits| matches!(waits, Waits::Kind { .. });
            if !self.waits.values().any(kind) {
                self.tell_kinds(cx);
            }
            return;
        }
        let asked: BTreeSet<&str> = self.waits.values().filter_map(Waits::uuid).collect();
        let missing: Vec<(String, String)> = self
            .wanted
            .iter()
            .filter(|(uuid, _)| !self.got.contains(*uuid) && !asked.contains(uuid.as_str()))
            .map(|(uuid, kind)| (uuid.clone(), kind.clone()))
            .collect();
        for (uuid, kind) in missing {
            self.get(cx, uuid, kind);
        }
        if self.next_sync <= cx.now && !self.syncs {
            self.next_sync = cx.now + SYNC_EVERY;
            self.sync(cx);
        }
    }

    fn get(&mut self, cx: &mut Context, uuid: String, kind: String) {
        self.tokens += 1;
        self.waits.insert(self.tokens, Waits::Get(uuid.clone()));
        cx.saw(Seen::Calls {
            call: self.tokens,
            kind: kind.clone(),
            timeout: TIMEOUT,
        });
        let params = GetParams {
            kind,
            request: GetRequest {
                uuid: Some(uuid),
                ..GetRequest::default()
            },
            huly: Some(GetExt {
                durable: true,
                strict: true,
                ..GetExt::default()
            }),
        };
        let input = Input::Get {
            token: self.tokens,
            params,
            raw: true,
            timeout: Some(TIMEOUT),
        };
        self.input(cx, input);
    }

    fn sync(&mut self, cx: &mut Context) {
        self.tokens += 1;
        self.syncs = true;
        self.waits.insert(self.tokens, Waits::Sync);
        let sync = Sync {
            sync: format!("sync-{}", self.tokens),
            chunk: 0,
            uuids: self.wanted.keys().cloned().collect(),
            last: true,
        };
        let Ok(params) = Json::of(&sync) else { return };
        let call = Call {
            timeout: Some(TIMEOUT),
            only_in: self.link.session().uuid().map(str::to_owned),
            ..Call::new(self.tokens, method::SYNC, params)
        };
        self.input(cx, Input::Call(call));
    }

    fn input(&mut self, cx: &mut Context, input: Input) {
        let effects = self.link.input(cx, input);
        self.effects(cx, effects);
    }

    fn effects(&mut self, cx: &mut Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Up { fresh: true, .. } => {
                    self.kinds_told = false;
                    self.waits
                        .retain(|_, waits| !matches!(waits, Waits::Kind { .. }));
                    self.next_sync = cx.now;
                    self.next_try = cx.now;
                }
                Effect::Got { token, result } => {
                    let Some(Waits::Get(uuid)) = self.waits.remove(&token) else {
                        continue;
                    };
                    cx.call_ends(token);
                    match result {
                        Ok(_) if self.wanted.contains_key(&uuid) => {
                            cx.tell(format!("holds {uuid} durably"));
                            cx.saw(Seen::Durable {
                                wire: self.link.wire(),
                                seen: Durable::Held { uuid: uuid.clone() },
                            });
                            self.got.insert(uuid);
                        }
                        // Let go meanwhile.
                        Ok(_) => {
                            let (token, raw) = (None, true);
                            self.input(cx, Input::Release { token, uuid, raw });
                        }
                        Err(error) => {
                            let why = words::of_error(&error);
                            cx.tell(format!("get of {uuid} failed: {why}"));
                        }
                    }
                }
                Effect::Answered { token, result } => {
                    match self.waits.remove(&token) {
                        Some(Waits::Sync) => {}
                        Some(Waits::Kind { last: true }) if result.is_ok() => {
                            self.kinds_told = true;
                            let wire = self.link.wire();
                            cx.saw(Seen::SaidKinds { wire });
                            self.next_try = cx.now;
                            continue;
                        }
                        _ => continue,
                    }
                    self.syncs = false;
                    match result.map(|answer| serde_json::from_slice::<Synced>(&answer)) {
                        Ok(Ok(synced)) => {
                            cx.tell(format!(
                                "synced: {} released, {} missing",
                                words::of_all(&synced.released),
                                words::of_all(&synced.missing)
                            ));
                            for uuid in synced.missing {
                                self.got.remove(&uuid);
                            }
                        }
                        _ => self.next_sync = cx.now + AGAIN,
                    }
                }
                Effect::Stopped(StopReason::Superseded(why)) if self.candidacy.is_some() => {
                    cx.tell(format!("is superseded: {why}"));
                    self.end_session(cx);
                    let candidacy = self.candidacy.as_mut();
                    let turns = candidacy.map(|candidacy| candidacy.superseded(cx));
                    self.turn(cx, turns.unwrap_or_default());
                }
                Effect::Stopped(reason) => {
                    let why = format!("the session is over: {}", words::of_stop(&reason));
                    cx.actions.push(Action::Exit { why });
                }
                _ => {}
            }
        }
    }
}

impl Waits {
    fn uuid(&self) -> Option<&str> {
        match self {
            Self::Get(uuid) => Some(uuid),
            Self::Sync | Self::Kind { .. } => None,
        }
    }
}

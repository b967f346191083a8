//! An agent: the real core, its session with the server, and containers.

mod doors;
mod registering;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use huly_agent::core::{self, Agent, Effect, Input, Run, ServerCall, Token};
use huly_protocol::{
    AgentCall, AgentUuid, Epoch, ErrorCode, ErrorPayload, GetRequest, Json, StartExt, lease, method,
};
use huly_session::registration::Registrar;
use huly_session::{self as session, Call, CallError};
use serde::Serialize;

use super::hosting::{Hosting, Manners};
use super::link::Link;
use super::{Action, Came, Context, Told, holders};
use crate::ledger::{Durable, Placed, Seen};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::words;
use doors::Doors;

/// How long the server may take to note that the agent leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// By how much leases are too long when that is the sabotage.
const LONG: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct AgentProgram {
    id: String,
    labels: BTreeMap<String, String>,
    core: Agent,
    link: Link,
    hosting: Hosting,
    /// What stories call its containers.
    uuids: BTreeMap<Run, String>,
    doors: Doors,
    random: Random,
    tick: Duration,
    next_tick: Duration,
    tokens: u64,
    registrar: Registrar,
    /// The registrar's call that waits for its answer.
    registering: Option<(u64, session::Token)>,
    /// What it has said that is not answered: which containers ended, and that it leaves.
    words: BTreeSet<session::Token>,
    /// The call by which the agent leaves.
    leaving: Option<session::Token>,
    inputs: VecDeque<Input>,
}

impl AgentProgram {
    /// By what the server knows it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// `listening` is the kind whose containers listen themselves.
    pub(crate) fn new(
        config: core::Config,
        session: session::Config,
        manners: Manners,
        listening: Option<String>,
        mut random: Random,
        now: Duration,
    ) -> Self {
        Self {
            id: config.agent.clone(),
            labels: config.labels.clone(),
            hosting: Hosting::new(random.fork(), manners, now),
            uuids: BTreeMap::new(),
            doors: Doors::new(listening),
            random,
            core: Agent::new(config, now),
            link: Link::new(session),
            tick: lease::tick(lease::DEFAULT),
            next_tick: now,
            tokens: 0,
            registrar: Registrar::default(),
            registering: None,
            words: BTreeSet::new(),
            leaving: None,
            inputs: VecDeque::new(),
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn core(&self) -> &Agent {
        &self.core
    }

    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// How many containers it was told to start and that have not ended.
    pub(crate) fn hosted(&self) -> usize {
        self.hosting.count()
    }

    /// Whether a container of an exclusive kind would begin with a request now.
    pub(crate) fn accepts_alone(&self, run: u64, now: Duration) -> bool {
        self.hosting.accepts_alone(Run(run), now)
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let times = [
            Some(self.next_tick),
            self.link.session().next_wake(),
            self.hosting.next_wake(),
        ];
        times.into_iter().flatten().min()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::Leave) => self.inputs.push_back(Input::Drain),
            Came::Told(Told::LoseContainer) => {
                let reports = self.hosting.lose_one(cx);
                self.inputs.extend(reports);
            }
            Came::Told(Told::Rest | Told::LetGo | Told::Kinds(_)) => {}
            came => {
                // Workers may be there before the agent's thread after a pause, or after it.
                let first = self.random.percent(50);
                if first {
                    self.work(cx);
                }
                if let Some(came) = self.take_door(cx, came) {
                    let effects = self.link.take(cx, came);
                    self.session_effects(cx, effects);
                }
                if !first {
                    self.settle(cx);
                    self.work(cx);
                }
            }
        }
        if self.next_tick <= cx.now {
            self.next_tick = cx.now + self.tick;
            self.inputs.push_back(Input::Wake);
        }
        self.settle(cx);
    }

    fn work(&mut self, cx: &mut Context) {
        for report in self.hosting.run(cx) {
            let before = self.doors.before(&report);
            self.inputs.extend(before.into_iter().chain([report]));
        }
    }

    /// What waits for the core goes through it, with all that follows.
    fn settle(&mut self, cx: &mut Context) {
        while let Some(input) = self.inputs.pop_front() {
            let told = match &input {
                Input::Call(call) => holders::told(call),
                _ => Vec::new(),
            };
            let mut effects = Vec::new();
            let ended = match &input {
                Input::Ended { run, .. } => self.uuids.remove(run),
                _ => None,
            };
            self.core.handle(cx.now, input, &mut effects);
            for effect in effects {
                self.core_effect(cx, effect, ended.as_deref());
            }
            // After a pause it registers before it looks at what came.
            for (uuid, named) in told {
                self.note_durable(cx, Durable::Told { uuid, named });
            }
            self.hosting.awake(cx.now);
        }
    }

    fn session_effects(&mut self, cx: &mut Context, effects: Vec<session::Effect>) {
        use session::Effect as E;
        for effect in effects {
            match effect {
                E::Up { fresh, .. } => {
                    self.registers_in_session(cx);
                    if fresh {
                        self.inputs.push_back(Input::Register);
                    }
                }
                E::Down => self.inputs.push_back(Input::Down),
                E::BackCall {
                    call,
                    method,
                    params,
                } => self.back_call(cx, call, method, &params),
                E::Lease { until, length } => {
                    let more = match cx.does(Sabotage::LongLeases) {
                        true => LONG,
                        false => Duration::ZERO,
                    };
                    let until = until + more;
                    self.inputs.push_back(Input::Lease { until, length });
                }
                E::Term(term) => self.inputs.push_back(Input::Term(term)),
                E::Answered { token, result } => self.answered(cx, token, result),
                E::Stopped(reason) => {
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
        token: session::Token,
        result: Result<bytes::Bytes, CallError>,
    ) {
        if self.leaving == Some(token) {
            self.link_input(cx, session::Input::Close);
            return;
        }
        if self.words.remove(&token) {
            if result.is_err() {
                cx.tell("has no answer to what it said: it is to register again");
                self.inputs.push_back(Input::RegisterFailed);
            }
            return;
        }
        self.registration_answered(cx, token, result);
    }

    fn back_call(&mut self, cx: &mut Context, call: u64, method: String, params: &Json) {
        let Ok(parsed) = serde_json::from_str::<AgentCall<'_>>(params.text()) else {
            return self.reply(cx, call, Err(refused("wrong parameters")));
        };
        if parsed.agent != self.id {
            return self.reply(cx, call, Err(refused("this client serves another agent")));
        }
        let call = ServerCall {
            token: Token(call),
            method,
            params: Json::from(parsed.params),
            ext: parsed.ext.map(Json::from),
        };
        if call.method == method::GET {
            self.note_start(cx, &call);
        }
        self.inputs.push_back(Input::Call(call));
    }

    /// What a start says of the kind, and what was known of that before.
    fn note_start(&self, cx: &mut Context, call: &ServerCall) {
        let get = call.params.read::<(String, GetRequest)>();
        let told = call.ext.as_ref().map(Json::read::<StartExt>);
        if let (Ok((kind, _)), Some(Ok(told))) = (get, told) {
            let known = self.core.spec_of(&kind).map(|spec| spec.revision);
            let labels = self.labels.clone();
            let (epoch, spec) = (told.epoch, told.spec.map(Box::new));
            cx.saw(Seen::Placed(Placed {
                kind,
                epoch,
                labels,
                spec,
                known,
            }));
        }
    }

    /// Something of a durable reference, said or heard over the connection with the server.
    fn note_durable(&self, cx: &mut Context, seen: Durable) {
        let wire = self.link.wire();
        cx.saw(Seen::Durable { wire, seen });
    }

    fn reply(&mut self, cx: &mut Context, call: u64, result: Result<Json, ErrorPayload>) {
        self.link_input(cx, session::Input::Reply { call, result });
    }

    fn link_input(&mut self, cx: &mut Context, input: session::Input) {
        let effects = self.link.input(cx, input);
        self.session_effects(cx, effects);
    }

    /// Without an answer to it, the agent is told that it is to register again.
    fn say<T: Serialize>(&mut self, cx: &mut Context, name: &'static str, what: &T) {
        self.words.insert(self.tokens + 1);
        self.call(cx, name, what);
    }

    fn call<T: Serialize>(&mut self, cx: &mut Context, name: &'static str, what: &T) {
        self.tokens += 1;
        let params = Json::of(what).unwrap_or_else(|_| Json::null());
        let call = Call {
            timeout: (name == method::UNREGISTER_AGENT).then_some(LEAVE_TIMEOUT),
            ..Call::new(self.tokens, name, params)
        };
        self.link_input(cx, session::Input::Call(call));
    }

    /// `ended` is the container that has just ended, if one has.
    fn core_effect(&mut self, cx: &mut Context, effect: Effect, ended: Option<&str>) {
        let mut reports = Vec::new();
        match effect {
            Effect::Register(registration) => self.register(cx, registration),
            Effect::Update(event) => self.say(cx, method::CONTAINER_UPDATE, &event),
            Effect::AnnounceDrain => {
                let uuid = self.id.clone();
                self.say(cx, method::DRAIN, &AgentUuid { uuid });
            }
            Effect::Drained => {
                let uuid = self.id.clone();
                self.leaving = Some(self.tokens + 1);
                self.call(cx, method::UNREGISTER_AGENT, &AgentUuid { uuid });
            }
            Effect::Answer { token, result } => self.reply(cx, token.0, result),
            Effect::Gate(gate) => {
                let before = self.hosting.set_gate(gate);
                self.tick = lease::tick(gate.length);
                match (before.open, gate.open) {
                    (false, true) => cx.tell("goes on after its pause"),
                    (true, false) => cx.tell("was paused: nothing is dispatched"),
                    _ => {}
                }
                if before.leased_until.is_none() && gate.leased_until.is_some() {
                    cx.tell("has a lease");
                }
            }
            Effect::Permit { run, permit } => {
                let uuid = self.uuids.get(&run).map_or("", String::as_str);
                cx.tell(format!("container {uuid} {}", words::of_permit(permit)));
                self.hosting.set_permit(run, permit);
            }
            Effect::Start { run, seed } => {
                let (uuid, epoch) = (seed.uuid.clone(), text(seed.epoch));
                cx.tell(format!("starts container {uuid}, epoch {epoch}"));
                self.uuids.insert(run, uuid.to_string());
                self.doors.starts(run, &seed.kind);
                self.hosting.start(cx, run, *seed);
            }
            Effect::Activate { .. } if cx.does(Sabotage::DropActivations) => {}
            Effect::Activate { run, seed } => {
                let (uuid, epoch) = (seed.uuid.clone(), text(seed.epoch));
                cx.tell(format!("its standby is to have {uuid}, epoch {epoch}"));
                self.uuids.insert(run, uuid.to_string());
                self.hosting.activate(cx, run, *seed);
            }
            Effect::Dispatch { run, asked } => {
                if cx.does(Sabotage::DoubleRequests) {
                    self.hosting.request(cx, run, asked.clone());
                }
                self.hosting.request(cx, run, asked);
            }
            Effect::Stop { .. } | Effect::Abort { .. } if cx.does(Sabotage::DropStops) => {}
            Effect::Stop { run } => self.hosting.stop(cx, run),
            Effect::Abort { run } => self.hosting.abort(cx, run, &mut reports),
            Effect::Observed(core::Observed::End { kind, reason }) => {
                let uuid = ended.unwrap_or(&*kind);
                cx.tell(format!(
                    "container {uuid} has ended: {}",
                    words::of_end(reason)
                ));
            }
            Effect::Send { conn, frame } => self.send_to_client(cx, &conn, frame),
            Effect::CloseDoor { run } => self.close_door(cx, run),
            // Containers are well, tell their clients nothing, and do not mind who comes and goes.
            _ => {}
        }
        self.inputs.extend(reports);
    }
}

fn refused(message: &str) -> ErrorPayload {
    ErrorPayload::new(ErrorCode::NoSuchAgent, message)
}

pub(crate) fn text(epoch: Option<Epoch>) -> String {
    match epoch {
        Some(Epoch { term, n }) => format!("{term}-{n}"),
        None => "none".to_owned(),
    }
}

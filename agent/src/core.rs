//! The agent's core: which containers there are, what they are asked, when the agent must hold its
//! breath.
//!
//! It is pure: [`Agent::handle`] takes the time and one input and appends effects. It has no socket,
//! no clock, no randomness and no task, so that the same code runs in production and in tests that
//! bend time.

mod answers;
mod calls;
mod config;
mod container;
mod deadlines;
mod direct;
mod doors;
mod drain;
mod events;
mod exclusive;
mod gate;
mod lease;
mod link;
pub mod mailbox;
mod ping;
mod session;
mod sizes;
mod standby;
mod start;
mod stop;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{ErrorCode, ErrorPayload, Json, KindSpec};
use serde::Serialize;

use answers::Answers;
use calls::PendingCall;
pub use config::Config;
use container::Container;
pub use container::Reason;
use deadlines::Deadlines;
use doors::Doors;
use drain::Drain;
pub use gate::{Gate, Permit, Sight};
use lease::Lease;
pub use sizes::Sizes;
use standby::Standbys;
pub use types::{
    AgentUpdate, Asked, Audience, CallNumber, Conn, Door, Effect, EndReport, Ended, Figures, Id,
    Input, Observed, Role, Route, Run, Seed, ServerCall, Token,
};

/// What has to be looked at when its time has come; it may be done by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// A container has not started yet.
    Start(Run),
    /// A container has not ended yet.
    Stop(Run),
    /// A request has not been handed to its container yet.
    Hold(CallNumber),
    /// A start that came while the agent was fenced has not begun yet.
    HeldStart(Token),
    /// A container is asked whether it is well.
    Ping(Run),
    /// The agent's leaving takes too long.
    Drain,
    /// What was aborted then has had its time to end.
    Drained,
    /// The server lacks something: the last registration failed or had left out what has started
    /// since, or a word was not answered. The next says all of that, whatever it is made for.
    Register,
    /// A container that stands by may be made.
    Standbys,
}

/// The core of one agent.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    now: Duration,
    out: Vec<Effect>,
    lease: Lease,
    /// What workers were last told of it.
    gate: Gate,
    containers: BTreeMap<Id, Container>,
    /// The uuid of each container by its run, for reports from the runtime.
    runs: BTreeMap<Run, Id>,
    by_kind: BTreeMap<Id, usize>,
    calls: BTreeMap<CallNumber, PendingCall>,
    answers: Answers,
    doors: Doors,
    standbys: Standbys,
    /// Whether it has begun to make what stands by.
    begun: bool,
    specs: BTreeMap<String, KindSpec>,
    /// The highest term that the agent knows: it starts nothing for a lower one.
    term: u64,
    /// Whether the agent is registered in the server's session.
    registered: bool,
    /// Whether that session has a connection: the lease is prolonged.
    up: bool,
    /// What the last registration listed: its answer can end only that.
    reported: BTreeMap<Id, Run>,
    /// How many registrations were sent.
    registrations: u64,
    held_starts: BTreeMap<Token, ServerCall>,
    drain: Drain,
    deadlines: Deadlines,
    counter: u64,
    waiting: usize,
    /// When silent clients are looked for next.
    silence_check: Duration,
}

impl Agent {
    /// An agent without containers. `now` is the boot clock's time.
    pub fn new(config: Config, now: Duration) -> Self {
        Self {
            lease: Lease::new(now),
            gate: Gate::NEW,
            answers: Answers::new(config.answers_window, config.answers_bytes),
            doors: Doors::new(config.instance),
            config,
            now,
            out: Vec::new(),
            containers: BTreeMap::new(),
            runs: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            calls: BTreeMap::new(),
            standbys: Standbys::default(),
            begun: false,
            specs: BTreeMap::new(),
            term: 0,
            registered: false,
            up: false,
            reported: BTreeMap::new(),
            registrations: 0,
            held_starts: BTreeMap::new(),
            drain: Drain::default(),
            deadlines: Deadlines::default(),
            counter: 0,
            waiting: 0,
            silence_check: now,
        }
    }

    /// Takes one input and appends what follows from it, in order. `now` never goes back and counts
    /// suspension; [`Input::Wake`] must come at least every eighth of a lease
    /// ([`Gate::length`]), or the agent believes that it was paused.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut Vec<Effect>) {
        std::mem::swap(&mut self.out, out);
        self.now = now.max(self.now);
        self.wake();
        self.take(input);
        std::mem::swap(&mut self.out, out);
    }

    /// The figures of the moment.
    pub fn figures(&self) -> Figures<'_> {
        Figures {
            containers: &self.by_kind,
            standbys: &self.standbys.by_kind,
            clients: self.doors.present(),
            waiting: self.waiting,
            registered: self.registered && self.up,
            fenced: self.lease.is_fenced(),
            leased: self.lease.holds(self.now),
            draining: self.drain.is_on(),
        }
    }

    /// Whether the server knows the agent, its kinds and all that it makes beforehand.
    pub fn is_known(&self) -> bool {
        let said = self.reported.is_empty() && !self.deadlines.registers();
        self.registered && self.up && said && self.standbys_are_made()
    }

    /// What holds whatever the input is: the lease first, so that a pause is noticed before
    /// anything is dispatched, then what is due.
    fn wake(&mut self) {
        let overslept = self.lease.wake(self.now);
        self.say_gate();
        if overslept {
            self.effect(Effect::Observed(Observed::LeaseLost));
            self.register();
        }
        while let Some((at, deadline)) = self.deadlines.first().copied() {
            if at > self.now {
                break;
            }
            self.deadlines.pop_first();
            self.due(deadline);
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.plan_standbys();
        }
        self.answers.expire(self.now);
        self.forget_silent_clients();
    }

    fn due(&mut self, deadline: Deadline) {
        match deadline {
            Deadline::Start(run) => self.start_is_late(run),
            Deadline::Stop(run) => self.stop_is_late(run),
            Deadline::Hold(call) => self.hold_is_over(call),
            Deadline::HeldStart(token) => self.held_start_is_over(token),
            Deadline::Ping(run) => self.ping_next(run),
            Deadline::Drain => self.drain_is_late(),
            Deadline::Drained => self.drained(),
            Deadline::Register => self.register(),
            Deadline::Standbys => self.make_standbys(),
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Wake => {}
            Input::Register => {
                self.registered = false;
                self.session_is_over();
                self.drop_held_starts();
                self.register();
            }
            Input::Registered { end } => self.has_registered(&end),
            Input::Server { original } => self.server_is(original),
            Input::Removed { containers } => self.are_free(&containers),
            Input::RegisterFailed => {
                let again = self.now + self.config.register_again;
                self.deadlines.register_by(again);
            }
            Input::Lease { until, length } => {
                self.up = true;
                self.lease.prolong(until, length, self.now);
                self.open_gate();
            }
            // Containers stay and clients of the agent's own ROUTER are served on.
            Input::Down => self.up = false,
            Input::Term(term) => self.term = self.term.max(term),
            Input::Call(call) => self.server_call(call),
            Input::Opened { run, port } => self.door_opened(run, port),
            Input::Message { conn, frame } => self.message(conn, frame),
            Input::Unreadable { reason } => self.bad_message(reason),
            Input::Closed { conn } => self.connection_closed(&conn),
            Input::Started { run, result } => self.has_started(run, result),
            Input::PingFailed { run, cause } => self.ping_failed(run, cause),
            Input::Answered { call, result } => self.answered(call, result),
            Input::Ended { run, how } => self.has_ended(run, how),
            Input::Event { run, to, data } => self.event(run, &to, &data),
            Input::Terminate { token, uuid } => self.terminate_here(token, &uuid),
            Input::Drain => self.begin_drain(),
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn bad_message(&mut self, reason: &'static str) {
        self.effect(Effect::Observed(Observed::BadMessage { reason }));
    }

    fn answer_server(&mut self, token: Token, result: Result<Json, ErrorPayload>) {
        self.effect(Effect::Answer { token, result });
    }

    /// Lets requests and starts go on once nothing forbids it.
    fn open_gate(&mut self) {
        let lifted = self.lease.lift(self.now);
        let begins = self.lease.begins(self.now);
        self.say_gate();
        if lifted {
            for (token, call) in std::mem::take(&mut self.held_starts) {
                self.deadlines.held_no_more(token);
                self.server_call(call);
            }
        } else if !begins {
            return;
        }
        let live: Vec<Id> = self
            .containers
            .values()
            .filter(|container| !container.waiting.is_empty())
            .map(|container| container.uuid.clone())
            .collect();
        for uuid in live {
            self.dispatch_waiting(&uuid);
        }
    }
}

/// The JSON of what is made of texts, numbers and lists: writing it cannot fail.
fn json<T: Serialize + ?Sized>(value: &T) -> Json {
    Json::of(value).unwrap_or_else(|_| Json::null())
}

fn error(code: ErrorCode, message: impl Into<String>) -> ErrorPayload {
    ErrorPayload::new(code, message)
}

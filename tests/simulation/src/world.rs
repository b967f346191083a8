//! Processes, the wires between them, and time.

pub(crate) mod faults;
mod held;
pub(crate) mod lease;
mod net;
mod reach;
mod reading;
mod seen;
mod servers;
pub(crate) mod start;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use huly_protocol::{Frame, KindSpec};

use crate::clock::Clock;
use crate::laws::Laws;
use crate::ledger::{Ledger, News, Seen};
use crate::program::{Action, Came, Context, Program, Target, Told};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::scenario::{Scenario, Step};
use crate::story::Story;
use crate::tries;
use crate::wire::{Side, Wire, WireId};
use lease::{Answer, Ask, Lease};

/// After how many events it is looked at whether anything is late.
const TIME_CHECK: u64 = 16;

/// A process: another number for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId(pub(crate) u32);

/// A process, also after its end.
#[derive(Debug)]
pub(crate) struct Process {
    /// Whose place it has: `server`, `agent-1`, `client-2`.
    pub(crate) place: String,
    /// The same with which one of its place it is.
    pub(crate) name: String,
    pub(crate) program: Option<Program>,
    pub(crate) paused: bool,
    /// From when to when it was paused.
    pub(crate) pauses: Vec<(Duration, Duration)>,
    /// What came while it was paused.
    backlog: VecDeque<Came>,
    /// When it is woken, and which of the wake-ups that were planned counts.
    wake: Option<Duration>,
    /// Since when it runs without a pause.
    pub(crate) awake_since: Duration,
    pub(crate) started: Duration,
    /// It came under the client id of another process, whose references the server leaves to it.
    pub(crate) heir: bool,
    /// When it ended, the references that the server may have known of it, and its calls that it may
    /// have, of those whose ends are not noted.
    pub(crate) ended: Option<Duration>,
    pub(crate) left: usize,
    pub(crate) left_calls: usize,
    /// When it ended, of one whose place another had by then.
    outlived: Option<Duration>,
}

/// What is to happen.
#[derive(Debug)]
enum Event {
    Step(Step),
    Wake(ProcessId),
    Arrive {
        wire: WireId,
        to: Side,
    },
    /// An end of a wire that was cut notices it.
    Notice {
        wire: WireId,
        side: Side,
    },
    Dial {
        process: ProcessId,
        dial: u64,
        to: Target,
    },
    Dialed {
        process: ProcessId,
        dial: u64,
        wire: Option<WireId>,
    },
    /// A candidate's request arrives at the API server.
    LeaseAsked {
        process: ProcessId,
        request: u64,
        ask: Ask,
    },
    LeaseAnswered {
        process: ProcessId,
        request: u64,
        answer: Answer,
    },
}

/// The simulated world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) scenario: Scenario,
    events: BTreeMap<(Duration, u64), Event>,
    numbers: u64,
    random: Random,
    pub(crate) processes: Vec<Process>,
    /// Who has each place.
    pub(crate) present: BTreeMap<String, ProcessId>,
    clocks: BTreeMap<String, Clock>,
    wires: BTreeMap<WireId, Wire>,
    /// Places that nothing reaches and that reach nothing.
    isolated: BTreeSet<String>,
    /// Places that do not reach the server, nor it them.
    parted: BTreeSet<String>,
    /// Places that do not reach the API server.
    without_api: BTreeSet<String>,
    lease: Lease,
    /// By how many ms messages from and to a place come later.
    slow: BTreeMap<String, u64>,
    /// How many bytes a second places take of what the server sends them, of those that are slow.
    paces: BTreeMap<String, u64>,
    /// The server that a place reaches, where that is not the present one.
    routes: BTreeMap<String, ProcessId>,
    /// When anything last happened to a place that it may not have got over.
    pub(crate) disturbed: BTreeMap<String, Duration>,
    /// The specifications of kinds, as the operator sees them.
    pub(crate) specs: BTreeMap<String, KindSpec>,
    /// When what is held is served, after all that happened.
    pub(crate) served_by: Duration,
    /// When agents and the server have heard from each other what they are to hear of it.
    told_by: Duration,
    /// When containers were held last, since faults stopped.
    pub(crate) held_at: BTreeMap<String, Duration>,
    /// When somebody was there last that may have held what it knew nothing of.
    pub(crate) unclear_at: Duration,
    pub(crate) ledger: Ledger,
    pub(crate) story: Story,
    pub(crate) laws: Laws,
    sabotage: Option<Sabotage>,
    /// Client ids that there have been.
    client_ids: BTreeSet<String>,
    /// Whether who ends is started again.
    pub(crate) restarts: bool,
    pub(crate) events_done: u64,
}

impl World {
    pub(crate) fn new(scenario: Scenario, story: Story, sabotage: Option<Sabotage>) -> Self {
        let mut random = Random::new(scenario.seed ^ 0x5eed);
        let mut clocks = BTreeMap::new();
        for place in scenario.places() {
            clocks.insert(place, scenario.clock(&mut random));
        }
        let mut world = Self {
            now: Duration::ZERO,
            events: BTreeMap::new(),
            numbers: 0,
            random,
            processes: Vec::new(),
            present: BTreeMap::new(),
            clocks,
            wires: BTreeMap::new(),
            isolated: BTreeSet::new(),
            parted: BTreeSet::new(),
            without_api: BTreeSet::new(),
            lease: Lease::default(),
            slow: BTreeMap::new(),
            paces: BTreeMap::new(),
            routes: BTreeMap::new(),
            disturbed: BTreeMap::new(),
            specs: scenario.specs(),
            served_by: Duration::ZERO,
            told_by: Duration::ZERO,
            held_at: BTreeMap::new(),
            unclear_at: Duration::ZERO,
            ledger: Ledger::default(),
            story,
            laws: Laws::default(),
            sabotage,
            client_ids: BTreeSet::new(),
            restarts: true,
            events_done: 0,
            scenario,
        };
        for (at, step) in world.scenario.steps.clone() {
            world.plan(at, Event::Step(step));
        }
        world
    }

    /// Lets time pass until then.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.events.first_entry() {
            let (at, _) = *entry.key();
            if at > end {
                break;
            }
            let event = entry.remove();
            self.now = at;
            self.events_done += 1;
            self.happen(event);
            self.judge_event();
            if self.events_done.is_multiple_of(TIME_CHECK) {
                self.note_held();
                self.judge_time();
            }
            if !self.ledger.news.is_empty() {
                let news: Vec<News> = std::mem::take(&mut self.ledger.news);
                self.judge_news(&news);
            }
        }
        self.now = end;
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.numbers += 1;
        self.events.insert((at, self.numbers), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step(step) => self.step(step),
            Event::Wake(process) => {
                let due = self.processes[process.0 as usize].wake;
                if due == Some(self.now) {
                    self.processes[process.0 as usize].wake = None;
                    self.give(process, Came::Wake);
                }
            }
            Event::Arrive { wire, to } => self.arrive(wire, to),
            Event::Notice { wire, side } => self.notice(wire, side),
            Event::LeaseAsked {
                process,
                request,
                ask,
            } => self.answer_lease(process, request, ask),
            Event::LeaseAnswered {
                process,
                request,
                answer,
            } => self.hear_of_lease(process, request, answer),
            Event::Dial { process, dial, to } => self.dial(process, dial, &to),
            Event::Dialed {
                process,
                dial,
                wire,
            } => {
                // It may have ended before its dialer heard of it.
                let wire = wire.filter(|wire| self.is_open(*wire));
                self.knock(wire);
                self.give(process, Came::Dialed { dial, wire });
            }
        }
    }

    pub(crate) fn process(&self, id: ProcessId) -> &Process {
        &self.processes[id.0 as usize]
    }

    /// What the monotonic clock of a place shows.
    pub(crate) fn mono_at(&self, place: &str) -> Duration {
        let clock = self.clocks.get(place);
        clock.map_or(self.now, |clock| clock.mono(self.now))
    }

    /// The process that has a place now, if it runs.
    pub(crate) fn at(&self, place: &str) -> Option<ProcessId> {
        let id = self.present.get(place).copied()?;
        self.process(id).program.is_some().then_some(id)
    }

    /// Whether the agent of an id is a TypeScript one that has a container which it made beforehand.
    pub(crate) fn plain_keeps(&self, agent: &str, uuid: &str) -> bool {
        self.running().any(|(_, _, program)| match program {
            Program::PlainAgent(of) => of.id() == agent && of.keeps(uuid),
            _ => false,
        })
    }

    /// Whether an operator has a session, or wants one.
    pub(crate) fn is_led(&self) -> bool {
        self.running().any(
            |(_, _, program)| matches!(program, Program::Operator(operator) if operator.is_active()),
        )
    }

    /// The processes that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (ProcessId, &Process, &Program)> {
        (0_u32..).zip(&self.processes).filter_map(|(id, process)| {
            let program = process.program.as_ref()?;
            Some((ProcessId(id), process, program))
        })
    }

    pub(crate) fn tell_program(&mut self, id: ProcessId, what: Told) {
        self.give(id, Came::Told(what));
    }

    /// Something comes to a process: now, or once it goes on.
    fn give(&mut self, id: ProcessId, came: Came) {
        let process = &mut self.processes[id.0 as usize];
        if process.program.is_none() {
            return;
        }
        if process.paused {
            if !matches!(came, Came::Wake) {
                process.backlog.push_back(came);
            }
            return;
        }
        self.with_program(id, |program, cx| program.take(cx, came));
        self.judge_step(id);
    }

    /// Runs a process for a moment and does what it wants.
    pub(crate) fn with_program<R>(
        &mut self,
        id: ProcessId,
        work: impl FnOnce(&mut Program, &mut Context) -> R,
    ) -> Option<R> {
        let process = &mut self.processes[id.0 as usize];
        let mut program = process.program.take()?;
        let clock = self.clocks.get(&process.place)?;
        let mut cx = Context {
            now: clock.mono(self.now),
            wall_ms: clock.wall_ms(self.now),
            sabotage: self.sabotage,
            actions: Vec::new(),
        };
        let result = work(&mut program, &mut cx);
        let wake = program.next_wake().map(|mono| clock.world(mono));
        process.program = Some(program);
        // One that is due at once is woken a little later: nobody is infinitely fast.
        let wake = wake.map(|at| at.max(self.now + Duration::from_micros(1)));
        if process.wake != wake {
            process.wake = wake;
            if let Some(at) = wake {
                self.plan(at, Event::Wake(id));
            }
        }
        for action in cx.actions {
            self.act(id, action);
        }
        Some(result)
    }

    fn act(&mut self, id: ProcessId, action: Action) {
        match action {
            Action::Dial { dial, after, to } => {
                let process = id;
                self.plan(self.now + after, Event::Dial { process, dial, to });
            }
            Action::Close { wire } => self.close(wire, id),
            Action::Lease { request, ask } => self.ask_lease(id, request, ask),
            Action::Send { wire, frame } => {
                let frame = self.note_sent(id, frame);
                self.send(wire, id, frame);
            }
            Action::Exit { why } => {
                let name = self.process(id).name.clone();
                self.story.tell(self.now, &name, || format!("ends: {why}"));
                self.end(id);
                self.start_later(id);
            }
            Action::Saw(seen) => self.saw(id, seen),
            Action::Tell(what) => {
                let name = &self.processes[id.0 as usize].name;
                self.story.tell(self.now, name, || what);
            }
        }
    }

    /// What a client sends of a request, with which try it is.
    fn note_sent(&mut self, by: ProcessId, frame: Frame) -> Frame {
        let Some(op) = tries::counted(&frame) else {
            return frame;
        };
        let id = frame.id.clone();
        self.ledger.note(self.now, by, Seen::Sent { op, id });
        let of_try = self.ledger.asked.get(&op).map_or(0, |asked| asked.tries);
        tries::marked(frame, op, of_try)
    }
}

//! The containers of an agent: each takes its time to start, to answer and to end. What it begins with
//! and when, its mailbox says, which is that of the native runtime.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use huly_agent::core::mailbox::{self, Effect, Hook, Mailbox, Moment};
use huly_agent::core::{Asked, CallNumber, EndReport, Gate, Input, Permit, Role, Run, Seed, Sight};
use huly_protocol::{ErrorCode, ErrorPayload, Json};

use super::Context;
use crate::ledger::Seen;
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::tries::{number_of, try_of};

/// How long a worker may take to come to what a container is told, in ms.
const TURN_MS: u64 = 2;

/// The longest answer of a serial container, in ms: asked faster than it answers, by TypeScript clients,
/// which wait for ever, it would never be done.
const SERIAL_MS: u64 = 20;

/// Of so many requests containers do one again and again when that is the sabotage, about so often, in
/// ms.
const UNASKED: u64 = 16;
const UNASKED_MS: u64 = 200;

/// What a container does next.
#[derive(Debug)]
enum Job {
    Started,
    /// What stood by has its uuid.
    Activated,
    /// It comes to what it was told next.
    Turn,
    Answer {
        call: CallNumber,
        data: Json,
    },
    Stopped,
}

#[derive(Debug)]
struct Hosted {
    seed: Seed,
    live: bool,
    /// The core has told it to end.
    stopping: bool,
    mailbox: Mailbox,
    /// What it was told and has not come to.
    commands: VecDeque<mailbox::Input>,
    permit: Permit,
    running: BTreeSet<CallNumber>,
}

/// How containers behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// The longest start and the longest end, in ms.
    pub(crate) slow_ms: u64,
    /// The longest answer, in ms.
    pub(crate) work_ms: u64,
    /// How many starts of a hundred fail.
    pub(crate) failing: u64,
}

#[derive(Debug)]
pub(crate) struct Hosting {
    random: Random,
    manners: Manners,
    hosted: BTreeMap<Run, Hosted>,
    jobs: BTreeMap<(Duration, u64), (Run, Job)>,
    jobs_made: u64,
    sight: Sight,
}

impl Hosting {
    pub(crate) fn new(random: Random, manners: Manners, now: Duration) -> Self {
        Self {
            random,
            manners,
            hosted: BTreeMap::new(),
            jobs: BTreeMap::new(),
            jobs_made: 0,
            sight: Sight {
                gate: Gate::NEW,
                awake: now,
            },
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.hosted.len()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let job = self.jobs.first_key_value().map(|((at, _), _)| *at);
        let mailboxes = self.hosted.values().filter_map(|h| h.mailbox.next_wake());
        mailboxes.chain(job).min()
    }

    fn job(&mut self, now: Duration, longest_ms: u64, run: Run, job: Job) {
        self.jobs_made += 1;
        let at = now + self.random.millis(0..longest_ms.max(1));
        self.jobs.insert((at, self.jobs_made), (run, job));
    }

    pub(crate) fn start(&mut self, cx: &Context, run: Run, seed: Seed) {
        let hosted = Hosted {
            mailbox: Mailbox::new(seed.serial),
            seed,
            live: false,
            stopping: false,
            commands: VecDeque::new(),
            permit: Permit::default(),
            running: BTreeSet::new(),
        };
        self.hosted.insert(run, hosted);
        let slow_ms = self.manners.slow_ms;
        self.job(cx.now, slow_ms, run, Job::Started);
    }

    /// What stood by is to have its uuid: a start again.
    pub(crate) fn activate(&mut self, cx: &Context, run: Run, seed: Seed) {
        let told = Hook::Activated(Box::new(seed.clone()));
        if let Some(hosted) = self.hosted.get_mut(&run) {
            hosted.seed = seed;
            self.tell(cx, run, mailbox::Input::Hook(told));
        }
    }

    pub(crate) fn request(&mut self, cx: &Context, run: Run, asked: Asked) {
        let closings = self.sight.gate.closings;
        self.tell(cx, run, mailbox::Input::Request { asked, closings });
    }

    pub(crate) fn stop(&mut self, cx: &mut Context, run: Run) {
        if let Some(hosted) = self.hosted.get_mut(&run).filter(|h| !h.stopping) {
            hosted.stopping = true;
            cx.saw(refuses(run, false));
            self.tell(cx, run, mailbox::Input::Stop);
        }
    }

    /// Tells a container's worker, which comes to it in its own time and in order.
    fn tell(&mut self, cx: &Context, run: Run, command: mailbox::Input) {
        let Some(hosted) = self.hosted.get_mut(&run) else {
            return;
        };
        let request = matches!(command, mailbox::Input::Request { .. });
        match request && cx.does(Sabotage::SwapRequests) {
            true => hosted.commands.push_front(command),
            false => hosted.commands.push_back(command),
        }
        self.job(cx.now, TURN_MS, run, Job::Turn);
    }

    pub(crate) fn abort(&mut self, cx: &mut Context, run: Run, reports: &mut Vec<Input>) {
        self.ended(cx, run, EndReport::Aborted, reports);
    }

    fn ended(&mut self, cx: &mut Context, run: Run, how: EndReport, reports: &mut Vec<Input>) {
        if self.hosted.remove(&run).is_some() {
            let by_itself = matches!(how, EndReport::ByItself | EndReport::Panicked(_));
            cx.saw(refuses(run, by_itself));
            reports.push(Input::Ended { run, how });
        }
    }

    /// One of them ends without having been told to.
    pub(crate) fn lose_one(&mut self, cx: &mut Context) -> Vec<Input> {
        let live = self.hosted.iter().filter(|(_, h)| h.live && !h.stopping);
        let live: Vec<Run> = live.map(|(run, _)| *run).collect();
        let mut reports = Vec::new();
        if let Some(run) = self.random.pick(&live).copied() {
            let (how, told) = match self.random.percent(50) {
                true => (EndReport::ByItself, "ends by itself"),
                false => (EndReport::Panicked("a fault".to_owned()), "panics"),
            };
            if let Some(hosted) = self.hosted.get(&run) {
                cx.tell(format!("container {} {told}", hosted.seed.uuid));
            }
            self.ended(cx, run, how, &mut reports);
        }
        reports
    }

    /// Returns what it was before.
    pub(crate) fn set_gate(&mut self, gate: Gate) -> Gate {
        std::mem::replace(&mut self.sight.gate, gate)
    }

    pub(crate) fn set_permit(&mut self, run: Run, permit: Permit) {
        if let Some(hosted) = self.hosted.get_mut(&run) {
            hosted.permit = permit;
        }
    }

    /// The agent's thread is awake and has judged the lease.
    pub(crate) fn awake(&mut self, now: Duration) {
        self.sight.awake = now;
    }

    /// What a container judges by, as its mailbox would.
    fn moment(&self, run: Run, now: Duration) -> Option<Moment> {
        let permit = self.hosted.get(&run)?.permit;
        Some(self.sight.moment(permit, now))
    }

    /// Whether a container would begin with a request now, as one of an exclusive kind.
    pub(crate) fn accepts_alone(&self, run: Run, now: Duration) -> bool {
        let hosted = self.hosted.get(&run).filter(|h| h.live && !h.stopping);
        let exclusive = hosted.is_some_and(|hosted| hosted.permit != Permit::Always);
        exclusive && self.moment(run, now).is_some_and(|moment| moment.open)
    }

    /// Does what is due; what the agent is told of it is returned.
    pub(crate) fn run(&mut self, cx: &mut Context) -> Vec<Input> {
        let mut reports = Vec::new();
        let runs: Vec<Run> = self.hosted.keys().copied().collect();
        for run in runs {
            self.look(cx, run, &mut reports);
        }
        while let Some(entry) = self.jobs.first_entry() {
            if entry.key().0 > cx.now {
                break;
            }
            let (run, job) = entry.remove();
            self.do_job(cx, run, job, &mut reports);
        }
        reports
    }

    /// What waits in a container's mailbox may go on, or has waited for too long.
    fn look(&mut self, cx: &mut Context, run: Run, reports: &mut Vec<Input>) {
        let Some(moment) = self.moment(run, cx.now) else {
            return;
        };
        let Some(hosted) = self.hosted.get_mut(&run) else {
            return;
        };
        let late = hosted.mailbox.next_wake().is_some_and(|at| at <= cx.now);
        let gate_opened = moment.open && hosted.mailbox.waits_for_gate();
        if !late && !gate_opened {
            return;
        }
        // What was said before the gate opened comes first: it may be the end.
        let said = match gate_opened {
            true => std::mem::take(&mut hosted.commands),
            false => VecDeque::new(),
        };
        for command in said {
            self.take(cx, run, command, reports);
        }
        let closings = moment.closings;
        let looks = match gate_opened {
            true => mailbox::Input::CaughtUp { closings },
            false => mailbox::Input::Wake,
        };
        self.take(cx, run, looks, reports);
    }

    /// A container's mailbox takes something, and what it says is done.
    fn take(
        &mut self,
        cx: &mut Context,
        run: Run,
        input: mailbox::Input,
        reports: &mut Vec<Input>,
    ) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(moment) = self.moment(run, cx.now) else {
                return;
            };
            let Some(hosted) = self.hosted.get_mut(&run) else {
                return;
            };
            let mut effects = Vec::new();
            hosted.mailbox.handle(moment, input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Begin(asked) => {
                        self.begin(cx, run, asked);
                        inputs.push_back(match cx.does(Sabotage::ForgetRunning) {
                            true => mailbox::Input::Ended,
                            false => mailbox::Input::Wake,
                        });
                    }
                    Effect::Refuse { call, cause } => {
                        let result = Err(cause);
                        reports.push(Input::Answered { call, result });
                    }
                    Effect::Hook(Hook::Activated(_)) => {
                        let slow_ms = self.manners.slow_ms;
                        self.job(cx.now, slow_ms, run, Job::Activated);
                    }
                    Effect::Stop => {
                        let slow_ms = self.manners.slow_ms;
                        self.job(cx.now, slow_ms, run, Job::Stopped);
                    }
                    // Containers do not mind who comes and goes, and are well.
                    Effect::Hook(_) | Effect::Ping { .. } => {}
                }
            }
        }
        let done = |hosted: &Hosted| hosted.mailbox.is_done();
        if self.hosted.get(&run).is_some_and(done) {
            self.ended(cx, run, EndReport::Stopped, reports);
        }
    }

    fn do_job(&mut self, cx: &mut Context, run: Run, job: Job, reports: &mut Vec<Input>) {
        let failing = self.manners.failing;
        let Some(hosted) = self.hosted.get_mut(&run) else {
            return;
        };
        match job {
            Job::Started | Job::Activated if hosted.stopping => {}
            Job::Started | Job::Activated if self.random.percent(failing) => {
                let error = ErrorPayload::new(ErrorCode::Failed, "a start that fails");
                let result = Err(error);
                reports.push(Input::Started { run, result });
                self.ended(cx, run, EndReport::Stopped, reports);
            }
            Job::Started if hosted.seed.role == Role::Standby => {
                // It takes nothing yet.
                hosted.live = true;
                let result = Ok(());
                reports.push(Input::Started { run, result });
            }
            Job::Started | Job::Activated => {
                hosted.live = true;
                cx.saw(Seen::Accepts {
                    run: run.0,
                    uuid: hosted.seed.uuid.to_string(),
                    epoch: hosted.seed.epoch,
                    serial: hosted.seed.serial,
                });
                let result = Ok(());
                reports.push(Input::Started { run, result });
            }
            // While it starts it is told nothing but to stop.
            Job::Turn if !hosted.live => self.ended(cx, run, EndReport::Stopped, reports),
            Job::Turn => {
                if let Some(command) = hosted.commands.pop_front() {
                    self.take(cx, run, command, reports);
                }
            }
            Job::Answer { call, data } => {
                let carried = data.read::<u64>().unwrap_or_default();
                let is_first = hosted.running.remove(&call);
                if cx.does(Sabotage::PassTheGate) && carried.is_multiple_of(UNASKED) {
                    cx.saw(executes(run, hosted, carried));
                    let data = data.clone();
                    self.job(cx.now, UNASKED_MS, run, Job::Answer { call, data });
                }
                if is_first {
                    let op = number_of(carried);
                    cx.saw(Seen::Ended { run: run.0, op });
                    let result = Ok(data);
                    reports.push(Input::Answered { call, result });
                }
                if is_first && !cx.does(Sabotage::ForgetRunning) {
                    self.take(cx, run, mailbox::Input::Ended, reports);
                }
            }
            Job::Stopped => self.take(cx, run, mailbox::Input::Stopped, reports),
        }
    }

    fn begin(&mut self, cx: &mut Context, run: Run, asked: Asked) {
        let mut work_ms = self.manners.work_ms;
        if let Some(hosted) = self.hosted.get_mut(&run) {
            let carried = asked.data.read::<u64>().unwrap_or_default();
            cx.saw(executes(run, hosted, carried));
            hosted.running.insert(asked.call);
            if hosted.seed.serial {
                work_ms = work_ms.min(SERIAL_MS);
            }
        }
        let (call, data) = (asked.call, asked.data);
        self.job(cx.now, work_ms, run, Job::Answer { call, data });
    }
}

fn executes(run: Run, hosted: &Hosted, carried: u64) -> Seen {
    Seen::Executed {
        run: run.0,
        op: number_of(carried),
        of_try: try_of(carried),
        alone: hosted.permit != Permit::Always,
    }
}

fn refuses(run: Run, by_itself: bool) -> Seen {
    let run = run.0;
    Seen::Refuses { run, by_itself }
}

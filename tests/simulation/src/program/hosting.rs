//! The containers of an agent: each takes its time to start, to answer and to end, and looks at the
//! agent's gate before it begins with a request, as those of the native runtime do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_agent::core::{Asked, CallNumber, EndReport, Input, Role, Run, Seed};
use huly_protocol::{ErrorCode, ErrorPayload, Json};

use super::Context;
use crate::ledger::Seen;
use crate::random::Random;

/// What a container does next.
#[derive(Debug)]
enum Job {
    Started,
    /// What stood by has its uuid.
    Activated,
    /// It comes to a request.
    Begin {
        asked: Box<Asked>,
        closings: u64,
    },
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
    stopping: bool,
    stopped: bool,
    running: BTreeSet<CallNumber>,
    /// Requests that the gate holds up.
    held: Vec<Asked>,
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
    /// As the agent's gate: whether it is open, how often it was closed, when the agent's thread was
    /// awake last, and how long a sleep of it counts as a pause.
    open: bool,
    closings: u64,
    awake: Duration,
    pause: Duration,
}

impl Hosting {
    pub(crate) fn new(random: Random, manners: Manners, lease: Duration, now: Duration) -> Self {
        Self {
            random,
            manners,
            hosted: BTreeMap::new(),
            jobs: BTreeMap::new(),
            jobs_made: 0,
            open: true,
            closings: 0,
            awake: now,
            pause: lease / 2,
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        self.jobs.first_key_value().map(|((at, _), _)| *at)
    }

    fn job(&mut self, now: Duration, longest_ms: u64, run: Run, job: Job) {
        self.jobs_made += 1;
        let at = now + self.random.millis(0..longest_ms.max(1));
        self.jobs.insert((at, self.jobs_made), (run, job));
    }

    pub(crate) fn start(&mut self, cx: &Context, run: Run, seed: Seed) {
        let hosted = Hosted {
            seed,
            live: false,
            stopping: false,
            stopped: false,
            running: BTreeSet::new(),
            held: Vec::new(),
        };
        self.hosted.insert(run, hosted);
        let slow_ms = self.manners.slow_ms;
        self.job(cx.now, slow_ms, run, Job::Started);
    }

    /// What stood by is to have its uuid: a start again.
    pub(crate) fn activate(&mut self, cx: &Context, run: Run, seed: Seed) {
        if let Some(hosted) = self.hosted.get_mut(&run) {
            hosted.seed = seed;
            let slow_ms = self.manners.slow_ms;
            self.job(cx.now, slow_ms, run, Job::Activated);
        }
    }

    pub(crate) fn request(&mut self, cx: &Context, run: Run, asked: Asked) {
        let closings = self.closings;
        let asked = Box::new(asked);
        self.job(cx.now, 2, run, Job::Begin { asked, closings });
    }

    /// Requests that wait at the gate did not run.
    pub(crate) fn stop(&mut self, cx: &mut Context, run: Run, reports: &mut Vec<Input>) {
        let Some(hosted) = self.hosted.get_mut(&run).filter(|h| !h.stopping) else {
            return;
        };
        hosted.stopping = true;
        cx.saw(refuses(run, false));
        give_up(&mut hosted.held, reports);
        if !hosted.live {
            // While it starts it is told nothing but to stop.
            return self.ended(cx, run, EndReport::Stopped, reports);
        }
        let slow_ms = self.manners.slow_ms;
        self.job(cx.now, slow_ms, run, Job::Stopped);
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
            let how = match self.random.percent(50) {
                true => EndReport::ByItself,
                false => EndReport::Panicked("a fault".to_owned()),
            };
            if let Some(hosted) = self.hosted.get(&run) {
                cx.tell(format!("container {}: {how:?}", hosted.seed.uuid));
            }
            self.ended(cx, run, how, &mut reports);
        }
        reports
    }

    pub(crate) fn set_gate(&mut self, open: bool) {
        self.open = open;
        self.closings += u64::from(!open);
    }

    /// The agent's thread is awake and has judged the lease.
    pub(crate) fn awake(&mut self, now: Duration) {
        self.awake = now;
    }

    fn is_open(&self, now: Duration) -> bool {
        self.open && now.saturating_sub(self.awake) <= self.pause
    }

    /// Does what is due; what the agent is told of it is returned.
    pub(crate) fn run(&mut self, cx: &mut Context) -> Vec<Input> {
        let mut reports = Vec::new();
        if self.is_open(cx.now) {
            self.begin_held(cx, &mut reports);
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

    fn do_job(&mut self, cx: &mut Context, run: Run, job: Job, reports: &mut Vec<Input>) {
        let open = self.is_open(cx.now);
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
                });
                let result = Ok(());
                reports.push(Input::Started { run, result });
            }
            Job::Begin { asked, closings } => {
                if hosted.stopping {
                    give_up(&mut vec![*asked], reports);
                } else if open && closings == self.closings && hosted.held.is_empty() {
                    self.begin(cx, run, *asked, reports);
                } else {
                    hosted.held.push(*asked);
                }
            }
            Job::Answer { call, data } => {
                if hosted.running.remove(&call) {
                    let result = Ok(data);
                    reports.push(Input::Answered { call, result });
                }
                self.end_if_done(cx, run, reports);
            }
            Job::Stopped => {
                hosted.stopped = true;
                self.end_if_done(cx, run, reports);
            }
        }
    }

    fn end_if_done(&mut self, cx: &mut Context, run: Run, reports: &mut Vec<Input>) {
        let hosted = self.hosted.get(&run);
        if hosted.is_some_and(|hosted| hosted.stopped && hosted.running.is_empty()) {
            self.ended(cx, run, EndReport::Stopped, reports);
        }
    }

    fn begin_held(&mut self, cx: &mut Context, reports: &mut Vec<Input>) {
        let mut begun = Vec::new();
        for (run, hosted) in &mut self.hosted {
            begun.extend(hosted.held.drain(..).map(|asked| (*run, asked)));
        }
        for (run, asked) in begun {
            self.begin(cx, run, asked, reports);
        }
    }

    fn begin(&mut self, cx: &mut Context, run: Run, asked: Asked, reports: &mut Vec<Input>) {
        let call = asked.call;
        if asked.until.is_some_and(|until| cx.now > until) {
            let message = "the container came to it too late; the request did not run";
            let result = Err(ErrorPayload::new(ErrorCode::TimedOut, message));
            return reports.push(Input::Answered { call, result });
        }
        let op = asked.data.read::<u64>().unwrap_or_default();
        cx.saw(Seen::Executed { run: run.0, op });
        if let Some(hosted) = self.hosted.get_mut(&run) {
            hosted.running.insert(call);
        }
        let (work_ms, data) = (self.manners.work_ms, asked.data);
        self.job(cx.now, work_ms, run, Job::Answer { call, data });
    }
}

fn give_up(held: &mut Vec<Asked>, reports: &mut Vec<Input>) {
    for asked in held.drain(..) {
        let message = "the container is being ended; the request did not run";
        let result = Err(ErrorPayload::new(ErrorCode::Interrupted, message));
        let call = asked.call;
        reports.push(Input::Answered { call, result });
    }
}

fn refuses(run: Run, by_itself: bool) -> Seen {
    let run = run.0;
    Seen::Refuses { run, by_itself }
}

//! Finds containers that block their worker: while a poll of a container's task does not return, the
//! worker serves no other container.
//!
//! A poll costs one load and two stores: the task's mark is set to the watchdog's time and cleared
//! again. The watchdog looks at the marks from a thread of its own, so it sees also when every
//! worker is blocked.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::core::{EndReport, Id};
use crate::runtime::metrics::Metrics;

/// A mark's time while its task is not polled.
const IDLE: u64 = 0;

/// A mark's time once its task is gone.
const ENDED: u64 = u64::MAX;

/// The longest time between two looks.
const MAX_TICK: Duration = Duration::from_millis(250);

/// What the watchdog sees of a container's task.
#[derive(Debug)]
pub(crate) struct Mark {
    kind: Id,
    uuid: Id,
    /// When the poll of now began, in µs of the watchdog's time. Written by the task alone, which
    /// is polled by one worker at a time; the watchdog needs no more than to see it some time.
    since: AtomicU64,
    aborted: AtomicBool,
}

impl Mark {
    /// The container's tasks are aborted, which they notice when they are not polled.
    pub(crate) fn aborted(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }
}

/// Where tasks are entered to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The watchdog's time in µs: it stands still while the process is paused, for then no
    /// container is to blame.
    time: AtomicU64,
    /// Tasks that the watchdog has not taken over yet.
    entered: Mutex<Vec<Arc<Mark>>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            time: AtomicU64::new(IDLE + 1),
            entered: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The container's task with a mark that is set while it is polled or dropped.
    pub(crate) fn enter(
        &self,
        kind: Id,
        uuid: Id,
        task: BoxFuture<'static, EndReport>,
    ) -> (Watched, Arc<Mark>) {
        let mark = Arc::new(Mark {
            kind,
            uuid,
            since: AtomicU64::new(IDLE),
            aborted: AtomicBool::new(false),
        });
        let entered = self.shared.entered.lock();
        entered
            .unwrap_or_else(PoisonError::into_inner)
            .push(mark.clone());
        let watched = Watched {
            task: Some(task),
            mark: mark.clone(),
            shared: self.shared.clone(),
        };
        (watched, mark)
    }
}

/// A container's task.
pub(crate) struct Watched {
    task: Option<BoxFuture<'static, EndReport>>,
    mark: Arc<Mark>,
    shared: Arc<Shared>,
}

impl Future for Watched {
    type Output = EndReport;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<EndReport> {
        let this = self.get_mut();
        let _busy = Busy::begin(&this.mark, &this.shared, IDLE);
        match &mut this.task {
            Some(task) => task.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // What the container's own `drop` does can block as well.
        let _busy = Busy::begin(&self.mark, &self.shared, ENDED);
        self.task = None;
    }
}

/// Sets a mark for as long as it lives, also when the container panics.
struct Busy<'a> {
    mark: &'a Mark,
    after: u64,
}

impl<'a> Busy<'a> {
    fn begin(mark: &'a Mark, shared: &Shared, after: u64) -> Self {
        let now = shared.time.load(Ordering::Relaxed);
        mark.since.store(now, Ordering::Relaxed);
        Self { mark, after }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.mark.since.store(self.after, Ordering::Relaxed);
    }
}

/// What the watchdog has to say of a container.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) what: What,
    pub(crate) kind: Id,
    pub(crate) uuid: Id,
    /// For how long it has been blocking, to within a tick.
    pub(crate) time: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It blocks its worker.
    Blocks,
    /// It is aborted and blocks on.
    StillStopping,
    /// It had blocked its worker.
    WentOn,
}

/// The watchdog itself.
pub(crate) struct Watchdog {
    watch: Watch,
    /// How long a poll may take.
    limit: Duration,
    marks: Vec<Arc<Mark>>,
    /// Never more than there are workers.
    blocked: Vec<Blocked>,
}

struct Blocked {
    mark: Arc<Mark>,
    since: u64,
    /// Whether it was said that it is still stopping.
    said: bool,
}

impl Watchdog {
    pub(crate) fn new(watch: Watch, limit: Duration) -> Self {
        Self {
            watch,
            limit,
            marks: Vec::new(),
            blocked: Vec::new(),
        }
    }

    /// How often it looks.
    pub(crate) fn tick(&self) -> Duration {
        (self.limit / 4).clamp(Duration::from_millis(5), MAX_TICK)
    }

    /// How many containers block a worker.
    pub(crate) fn blocked(&self) -> usize {
        self.blocked.len()
    }

    #[cfg(test)]
    pub(crate) fn watched(&self) -> usize {
        self.marks.len()
    }

    /// Looks, so much time after the last look; what is new is said once.
    pub(crate) fn look(&mut self, slept: Duration) -> Vec<Sight> {
        let shared = &self.watch.shared;
        let tick = self.tick();
        // It oversleeps when the whole process is paused.
        let passed = micros(slept.min(2 * tick));
        let now = shared.time.fetch_add(passed, Ordering::Relaxed) + passed;
        let entered = shared.entered.lock();
        self.marks
            .append(&mut entered.unwrap_or_else(PoisonError::into_inner));
        // A poll began up to a tick after its mark's time.
        let age = |since: u64| now.saturating_sub(since.saturating_add(micros(tick)));
        let mut sights = Vec::new();
        let mut say = |what, mark: &Mark, since: u64| {
            sights.push(Sight {
                what,
                kind: mark.kind.clone(),
                uuid: mark.uuid.clone(),
                time: Duration::from_micros(age(since)),
            });
        };
        self.blocked.retain(|blocked| {
            let same = blocked.mark.since.load(Ordering::Relaxed) == blocked.since;
            if !same {
                say(What::WentOn, &blocked.mark, blocked.since);
            }
            same
        });
        let (limit, blocked) = (micros(self.limit), &mut self.blocked);
        self.marks.retain(|mark| {
            let since = mark.since.load(Ordering::Relaxed);
            let late = !matches!(since, IDLE | ENDED) && age(since) >= limit;
            if late && !blocked.iter().any(|one| Arc::ptr_eq(&one.mark, mark)) {
                say(What::Blocks, mark, since);
                blocked.push(Blocked {
                    mark: mark.clone(),
                    since,
                    said: false,
                });
            }
            since != ENDED
        });
        for Blocked { mark, since, said } in blocked {
            if !*said && mark.aborted.load(Ordering::Relaxed) {
                *said = true;
                say(What::StillStopping, mark, *since);
            }
        }
        sights
    }

    /// Looks from a thread of its own until what is returned is dropped.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn guard(mut self, metrics: Metrics) -> std::io::Result<Guard> {
        let (alive, watched) = mpsc::channel::<()>();
        let tick = self.tick();
        let look = move || {
            let mut last = Instant::now();
            while watched.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout) {
                let slept = last.elapsed();
                last += slept;
                for sight in self.look(slept) {
                    sight.log();
                    if sight.what == What::Blocks {
                        metrics.worker_blocked(&sight.kind);
                    }
                }
                metrics.set_blocked(self.blocked());
            }
        };
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(look)?;
        Ok(Guard { _alive: alive })
    }
}

/// Keeps the watchdog looking.
pub(crate) struct Guard {
    _alive: mpsc::Sender<()>,
}

impl Sight {
    pub(crate) fn log(&self) {
        let (kind, uuid, ms) = (&self.kind, &self.uuid, self.time.as_millis());
        match self.what {
            What::Blocks => tracing::warn!(
                %kind, %uuid, blocked_ms = ms,
                "a container blocks its worker: others wait for it to reach an await"
            ),
            What::StillStopping => tracing::warn!(
                %kind, %uuid, blocked_ms = ms,
                "a container is still stopping: it was aborted, but it blocks its worker"
            ),
            What::WentOn => tracing::warn!(
                %kind, %uuid, took_ms = ms,
                "a container blocks its worker no more"
            ),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

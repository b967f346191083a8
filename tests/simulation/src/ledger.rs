//! What was seen of containers, requests and references: what the laws judge by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{Epoch, ErrorCode, KindSpec};

use crate::world::ProcessId;

/// Something that a program did or saw.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A container takes requests from now on.
    Accepts {
        run: u64,
        uuid: String,
        epoch: Option<Epoch>,
    },
    /// It was told to end, or ended: it takes none any more.
    Refuses { run: u64, by_itself: bool },
    /// A container began with a request.
    Executed { run: u64, op: u64 },
    /// A request is made that may take so long.
    Asked {
        op: u64,
        timeout: Duration,
        idempotent: bool,
    },
    /// It came to its end.
    Done { op: u64, outcome: Outcome },
    /// Another call than a request is made that may take so long, or came to its end.
    Calls { call: u64, timeout: Duration },
    /// It came to its end.
    Called { call: u64 },
    /// An agent was registered at the server that it reaches.
    Registered,
    /// A server tells an agent to start a container.
    Placed(Placed),
}

/// How a container was placed.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) kind: String,
    /// The labels of the agent.
    pub(crate) labels: BTreeMap<String, String>,
    /// The specification that it was placed with.
    pub(crate) spec: Option<Box<KindSpec>>,
    /// The revision that the agent had been told.
    pub(crate) known: Option<u64>,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The container's answer, and whether it was that to this request.
    Answer {
        fits: bool,
    },
    Error(Option<ErrorCode>),
}

/// One life of a container somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) uuid: String,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) accepts: bool,
}

/// A request of a client.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) by: ProcessId,
    pub(crate) at: Duration,
    pub(crate) deadline: Duration,
    pub(crate) idempotent: bool,
    pub(crate) outcome: Option<Outcome>,
    /// In which lives it was begun.
    pub(crate) executed: Vec<CopyId>,
}

/// A life of a container: its process and the run there.
pub(crate) type CopyId = (ProcessId, u64);

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) copies: BTreeMap<CopyId, Copy>,
    /// Those that accept, by uuid.
    pub(crate) accepting: BTreeMap<String, BTreeSet<CopyId>>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// Calls without an end, with their deadlines.
    pub(crate) open: BTreeMap<(ProcessId, u64), Duration>,
    /// Requests without an end.
    pub(crate) unanswered: BTreeSet<u64>,
    /// When an agent's process was first registered at a server's.
    pub(crate) registered: BTreeMap<(ProcessId, ProcessId), Duration>,
    /// What changed since the laws were looked at.
    pub(crate) news: Vec<News>,
}

/// What the laws are to look at.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Accepts(CopyId),
    Refuses { copy: CopyId, by_itself: bool },
    Executed(u64),
    Done(u64),
    Placed(ProcessId, Placed),
}

impl Ledger {
    pub(crate) fn note(&mut self, now: Duration, by: ProcessId, seen: Seen) {
        match seen {
            Seen::Accepts { run, uuid, epoch } => {
                let copy = (by, run);
                let all = self.accepting.entry(uuid.clone()).or_default();
                all.insert(copy);
                let known = Copy {
                    uuid,
                    epoch,
                    accepts: true,
                };
                self.copies.insert(copy, known);
                self.news.push(News::Accepts(copy));
            }
            Seen::Refuses { run, by_itself } => self.refuses((by, run), by_itself),
            Seen::Executed { run, op } => {
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.executed.push((by, run));
                    self.news.push(News::Executed(op));
                }
            }
            Seen::Asked {
                op,
                timeout,
                idempotent,
            } => {
                let asked = Asked {
                    by,
                    at: now,
                    deadline: now + timeout,
                    idempotent,
                    outcome: None,
                    executed: Vec::new(),
                };
                self.asked.insert(op, asked);
                self.unanswered.insert(op);
            }
            Seen::Done { op, outcome } => {
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.outcome = Some(outcome);
                    self.unanswered.remove(&op);
                    self.news.push(News::Done(op));
                }
            }
            Seen::Calls { call, timeout } => {
                self.open.insert((by, call), now + timeout);
            }
            Seen::Called { call } => {
                self.open.remove(&(by, call));
            }
            // It takes the world to know where.
            Seen::Registered => {}
            Seen::Placed(placed) => self.news.push(News::Placed(by, placed)),
        }
    }

    fn refuses(&mut self, copy: CopyId, by_itself: bool) {
        let Some(known) = self.copies.get_mut(&copy).filter(|known| known.accepts) else {
            return;
        };
        known.accepts = false;
        if let Some(all) = self.accepting.get_mut(&known.uuid) {
            all.remove(&copy);
        }
        self.news.push(News::Refuses { copy, by_itself });
    }

    /// A process is gone, and all that it was doing.
    pub(crate) fn died(&mut self, process: ProcessId) {
        let its = (process, 0)..=(process, u64::MAX);
        let copies: Vec<CopyId> = self.copies.range(its.clone()).map(|(id, _)| *id).collect();
        for copy in copies {
            self.refuses(copy, true);
        }
        self.open.retain(|(by, _), _| *by != process);
        let asked = &self.asked;
        self.unanswered
            .retain(|op| asked.get(op).is_some_and(|asked| asked.by != process));
    }

    /// The copies of a container that accept, with their epochs.
    pub(crate) fn accepting(&self, uuid: &str) -> Vec<(CopyId, Option<Epoch>)> {
        let all = self.accepting.get(uuid).into_iter().flatten();
        all.map(|copy| (*copy, self.copies.get(copy).and_then(|known| known.epoch)))
            .collect()
    }
}

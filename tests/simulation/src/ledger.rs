//! What was seen of containers, requests and references: what the laws judge by.

mod calls;
mod durable;
mod ends;
mod lives;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{Epoch, ErrorCode, KindSpec};

use crate::program::server::{Crowd, Fencing, Reading};
use crate::wire::WireId;
use crate::world::ProcessId;
pub(crate) use calls::{Asked, Get};
pub(crate) use durable::Durable;
pub(crate) use ends::Ends;
pub(crate) use lives::{Copy, CopyId, Placing};

/// Something that a program did or saw.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A container takes requests from now on.
    Accepts {
        run: u64,
        uuid: String,
        epoch: Option<Epoch>,
        /// It is of a serial kind.
        serial: bool,
    },
    /// It was told to end, or ended: it takes none any more.
    Refuses { run: u64, by_itself: bool },
    /// A container began with a request.
    Executed {
        run: u64,
        op: u64,
        /// By which of its tries.
        of_try: u64,
        /// It is of a kind that its agent knows to be exclusive.
        alone: bool,
    },
    /// It has answered it.
    Ended { run: u64, op: u64 },
    /// A request is made that may take so long.
    Asked {
        op: u64,
        /// The container that is asked.
        uuid: String,
        timeout: Duration,
        idempotent: bool,
        /// Over which of its client's connections and by which route; absent where that does not
        /// matter.
        connection: Option<(u64, u64)>,
        /// It goes to whoever listens on a port by then.
        of_port: bool,
    },
    /// A request may be on its way more than once.
    SentAgain { op: u64 },
    /// It came to its end.
    Done { op: u64, outcome: Outcome },
    /// A container of a kind is got; that may take so long.
    Calls {
        call: u64,
        kind: String,
        timeout: Duration,
    },
    /// That came to its end.
    Called {
        call: u64,
        /// With what it failed, if it did.
        code: Option<ErrorCode>,
    },
    /// A get by uuid was answered with a container.
    Got { asked: String, got: String },
    /// A reference is let go; the server has yet to hear of it.
    LetGo,
    /// A client is told of a life of a container.
    Life { uuid: String, epoch: Epoch },
    /// A request went out under an id.
    Sent { op: u64, id: String },
    /// The server said an error to what had that id.
    Refused { id: String },
    /// A request goes out as if it had never been, if it is idempotent: by the other route, or to a
    /// server that need not know it.
    TriesAnew { op: u64 },
    /// Something of a durable reference, over a connection with a server.
    Durable { wire: Option<WireId>, seen: Durable },
    /// An agent was registered, over this connection.
    Registered { wire: Option<WireId> },
    /// A server was told all specifications of kinds, over this connection.
    SaidKinds { wire: Option<WireId> },
    /// A server asks who is at the other end of a connection that it has not cut.
    AsksWho { wire: WireId },
    /// A server tells an agent to start a container.
    Placed(Placed),
    /// A server heard an operator.
    Fencing(Fencing),
    /// A server has an agent start one more container.
    Crowd(Crowd),
    /// A server sends something to a peer that reads slowly.
    Reading(Reading),
    /// A server takes an agent for gone, by this id.
    GaveUp { agent: String, silent: bool },
}

/// How a container was placed.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) kind: String,
    /// The life that it is.
    pub(crate) epoch: Option<Epoch>,
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
    /// It failed, and its client was told no code: nothing is claimed.
    Failed,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) copies: BTreeMap<CopyId, Copy>,
    /// All that there have been, by uuid.
    pub(crate) lives: BTreeMap<String, BTreeSet<CopyId>>,
    /// Those that accept, by uuid.
    pub(crate) accepting: BTreeMap<String, BTreeSet<CopyId>>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// Under which ids idempotent requests went out.
    ids: BTreeMap<(ProcessId, String), u64>,
    /// Gets without an end.
    pub(crate) gets: BTreeMap<(ProcessId, u64), Get>,
    /// Requests without an end.
    pub(crate) unanswered: BTreeSet<u64>,
    /// When an agent's process was first registered at a server's.
    pub(crate) registered: BTreeMap<(ProcessId, ProcessId), Duration>,
    /// When a server was first told all specifications of kinds.
    pub(crate) kinds_said: BTreeMap<ProcessId, Duration>,
    /// How each agent was told to start each life.
    placings: BTreeMap<(ProcessId, Option<Epoch>), Placing>,
    durable: durable::Known,
    /// How many requests began.
    begun: u64,
    /// How many answers containers of an agent's process have given.
    pub(crate) answers: BTreeMap<ProcessId, u64>,
    /// When requests came to their ends, and other calls, releases among these.
    pub(crate) answered: Ends,
    /// The latest life of a container that a client was ever told of.
    pub(crate) told: BTreeMap<(ProcessId, String), Epoch>,
    pub(crate) called: Ends,
    /// When a container accepted requests last, of those that have ended.
    refused: BTreeMap<String, Duration>,
    /// What changed since the laws were looked at.
    pub(crate) news: Vec<News>,
}

/// What the laws are to look at.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Accepts(CopyId),
    Refuses {
        copy: CopyId,
        by_itself: bool,
    },
    Executed(u64),
    Done(u64),
    Placed(ProcessId, Placed),
    Fencing(Fencing),
    Crowd(Crowd),
    Reading(Reading),
    GaveUp {
        server: ProcessId,
        agent: String,
        silent: bool,
    },
    /// A server asks a process that is connected to it who it is.
    AsksWho {
        server: ProcessId,
        wire: WireId,
        peer: ProcessId,
    },
    /// Who knew that the operator holds a container says who does.
    Holders {
        by: ProcessId,
        uuid: String,
        named: bool,
    },
    Got {
        asked: String,
        got: String,
    },
    /// A get came to its end.
    Called {
        call: u64,
        code: Option<ErrorCode>,
        get: Get,
    },
}

impl Ledger {
    pub(crate) fn note(&mut self, now: Duration, by: ProcessId, seen: Seen) {
        match seen {
            Seen::Accepts {
                run,
                uuid,
                epoch,
                serial,
            } => {
                let copy = (by, run);
                self.lives.entry(uuid.clone()).or_default().insert(copy);
                let all = self.accepting.entry(uuid.clone()).or_default();
                all.insert(copy);
                let known = Copy {
                    uuid,
                    epoch,
                    accepts: true,
                    serial,
                    placing: self.placings.get(&(by, epoch)).cloned(),
                    since: now,
                    begun: None,
                    begun_alone: None,
                    running: BTreeSet::new(),
                    answered: BTreeMap::new(),
                };
                self.copies.insert(copy, known);
                self.news.push(News::Accepts(copy));
            }
            Seen::Refuses { run, by_itself } => self.refuses(now, (by, run), by_itself),
            Seen::Ended { run, op } => {
                let answers = self.answers.entry(by).or_default();
                *answers += 1;
                if let Some(copy) = self.copies.get_mut(&(by, run)) {
                    copy.running.remove(&op);
                    copy.answered.insert(op, (now, *answers));
                }
            }
            Seen::SentAgain { op } => {
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.sent_again = true;
                }
            }
            Seen::Executed {
                run,
                op,
                of_try,
                alone,
            } => {
                let mut beside = None;
                if let Some(copy) = self.copies.get_mut(&(by, run)) {
                    beside = copy.running.first().copied().filter(|_| copy.serial);
                    copy.running.insert(op);
                    copy.begun = Some(now);
                    copy.begun_alone = alone.then_some(now).or(copy.begun_alone);
                }
                self.begun += 1;
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.began = self.begun;
                    asked.beside = beside;
                    asked.ran_by.insert(of_try);
                    asked.executed.push((by, run));
                    self.news.push(News::Executed(op));
                }
            }
            Seen::Asked {
                op,
                uuid,
                timeout,
                idempotent,
                connection,
                of_port,
            } => {
                let asked = Asked {
                    by,
                    uuid,
                    at: now,
                    deadline: now + timeout,
                    idempotent,
                    connection,
                    of_port,
                    sent_again: false,
                    began: 0,
                    beside: None,
                    outcome: None,
                    sent: false,
                    tries: 0,
                    tried_anew: None,
                    ran_by: BTreeSet::new(),
                    executed: Vec::new(),
                };
                self.asked.insert(op, asked);
                self.unanswered.insert(op);
            }
            Seen::Done { op, outcome } => {
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.outcome = Some((outcome, now));
                    self.unanswered.remove(&op);
                    self.answered.note(now);
                    self.news.push(News::Done(op));
                }
            }
            Seen::Calls {
                call,
                kind,
                timeout,
            } => {
                let get = Get {
                    by,
                    kind,
                    at: now,
                    deadline: now + timeout,
                };
                self.gets.insert((by, call), get);
            }
            Seen::Called { call, code } => self.called(now, by, call, code),
            Seen::LetGo => self.called.note(now),
            Seen::Life { uuid, epoch } => {
                let told = self.told.entry((by, uuid)).or_insert(epoch);
                *told = epoch.max(*told);
            }
            Seen::Got { asked, got } => self.news.push(News::Got { asked, got }),
            Seen::Sent { op, id } => {
                if let Some(asked) = self.asked.get_mut(&op) {
                    asked.sent = true;
                    if asked.idempotent {
                        self.ids.insert((by, id), op);
                    }
                }
            }
            Seen::TriesAnew { op } => {
                if let Some(asked) = self.asked.get_mut(&op).filter(|asked| asked.idempotent) {
                    asked.tries += 1;
                    asked.tried_anew = Some(now);
                }
            }
            Seen::Refused { id } => {
                let op = self.ids.get(&(by, id));
                let asked = op.and_then(|op| self.asked.get_mut(op));
                // Nobody was told of it: it is tried again.
                if let Some(asked) = asked.filter(|asked| asked.outcome.is_none())
                    && asked.tried_anew != Some(now)
                {
                    asked.tries += 1;
                }
            }
            // It takes the world to know where.
            Seen::Registered { .. }
            | Seen::Durable { .. }
            | Seen::SaidKinds { .. }
            | Seen::AsksWho { .. } => {}
            Seen::Placed(placed) => {
                let exclusive = placed.spec.as_ref().is_some_and(|spec| spec.exclusive);
                let placing = Placing {
                    kind: placed.kind.clone(),
                    exclusive,
                    at: now,
                };
                self.placings.insert((by, placed.epoch), placing);
                self.news.push(News::Placed(by, placed));
            }
            Seen::Fencing(fencing) => self.news.push(News::Fencing(fencing)),
            Seen::Crowd(crowd) => self.news.push(News::Crowd(crowd)),
            Seen::Reading(reading) => self.news.push(News::Reading(reading)),
            Seen::GaveUp { agent, silent } => self.news.push(News::GaveUp {
                server: by,
                agent,
                silent,
            }),
        }
    }

    /// Something of a durable reference, over a connection with that server.
    pub(crate) fn note_durable(&mut self, by: ProcessId, server: ProcessId, seen: Durable) {
        let news = self.durable.note(by, server, seen);
        self.news.extend(news);
    }
}

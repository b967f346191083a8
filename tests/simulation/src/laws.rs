//! What holds whatever happens.

mod bounds;
mod codes;
mod copies;
mod crowds;
mod durable;
mod exclusive;
mod idle;
mod judging;
mod kinds;
mod leaders;
pub(crate) mod limits;
mod load;
mod order;
mod readers;
mod references;
mod requests;
pub(crate) mod served;
mod standbys;
mod told;
mod touch;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use huly_protocol::{AgentInfo, ContainerRecord, Epoch};
use huly_registry::Snapshot;

use crate::ledger::{CopyId, News};
use crate::program::Program;
use crate::world::World;
use verdict::Verdict;

/// A law: what it is called, what it says.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// Its name.
    pub name: &'static str,
    /// What holds.
    pub sentence: &'static str,
    check: Check,
}

/// When a law is looked at, and by what.
#[derive(Debug, Clone, Copy)]
enum Check {
    /// After each event that concerns it.
    News(fn(&World, &News) -> Verdict),
    /// After each step of a program.
    Step(fn(&World, &Program) -> Verdict),
    /// After each event.
    Event(fn(&World) -> Verdict),
    /// All the time.
    Time(fn(&World) -> Verdict),
    /// Once nothing has been wrong for a while.
    Calm(fn(&World, &ServerView) -> Verdict),
    /// Once everything has been let go.
    End(fn(&World, &ServerView) -> Verdict),
    /// By comparing two runs.
    Twice,
}

/// The law that two runs of a seed are compared by.
pub const SAME: &str = "same-seed-same-story";

/// All laws.
pub const LAWS: &[Law] = &[
    Law {
        name: "one-copy-per-epoch",
        sentence: "never does a container accept requests under a uuid and an epoch that another had",
        check: Check::News(copies::one_per_epoch),
    },
    Law {
        name: "exclusive-one-accepting",
        sentence: "under one server, never do two containers of an exclusive kind at Rust agents \
                   accept requests under one uuid",
        check: Check::Event(exclusive::one_accepting),
    },
    Law {
        name: "exclusive-one-begins",
        sentence: "under one server, a container of an exclusive kind at a Rust agent begins with \
                   nothing while another of its uuid accepts, nor when a later one has begun",
        check: Check::News(exclusive::begins_alone),
    },
    Law {
        name: "one-copy",
        sentence: "once every agent reaches the server, one container of a uuid accepts requests",
        check: Check::Event(copies::one),
    },
    Law {
        name: "higher-epoch-wins",
        sentence: "of two copies the one with the higher epoch goes on, but for what a settled \
                   server has served against a later copy of a server of a lower term",
        check: Check::Event(copies::higher_epoch),
    },
    Law {
        name: "latest-goes-on",
        sentence: "under one server, no life of a container is left once it is quiet of which a later \
                   one has begun with requests, though that one be over",
        check: Check::Calm(copies::latest),
    },
    Law {
        name: "served-again",
        sentence: "once faults stop, every referenced container is served again within its bound",
        check: Check::Calm(references::served),
    },
    Law {
        name: "served-in-time",
        sentence: "once faults stop, what is held is served when the time is over that each fault \
                   takes to be got over",
        check: Check::Time(served::in_bound),
    },
    Law {
        name: "references-are-held",
        sentence: "once it is quiet, the server's references are what clients hold",
        check: Check::Calm(references::held),
    },
    Law {
        name: "durable-survives",
        sentence: "a durable reference outlives its client, silence and the server, and is in the \
                   container's record",
        check: Check::Calm(durable::survives),
    },
    Law {
        name: "durable-is-recorded",
        sentence: "who knew of a durable reference says it to whom the container is with next: agents \
                   to servers, servers to agents",
        check: Check::News(durable::recorded),
    },
    Law {
        name: "restart-ends-nothing",
        sentence: "a restart of the server ends no container that a client in touch holds",
        check: Check::News(references::restart),
    },
    Law {
        name: "orphans-are-spared",
        sentence: "a server ends nothing that lived before it for want of references in the time in \
                   which clients may not have said what they hold",
        check: Check::News(references::spared),
    },
    Law {
        name: "in-touch-is-kept",
        sentence: "a server gives up no agent and no client that is in touch, however often and long \
                   it is paused itself",
        check: Check::News(touch::kept),
    },
    Law {
        name: "asked-of-it",
        sentence: "what a container runs was asked of it; a get by uuid is answered with that uuid",
        check: Check::News(requests::of_it),
    },
    Law {
        name: "executed-once",
        sentence: "no request runs twice in one life of a container within the window in which answers \
                   are remembered, nor, unless it is idempotent or two servers are up, in two lives",
        check: Check::News(requests::once),
    },
    Law {
        name: "starts-in-order",
        sentence: "requests that a client sends once, over one connection, begin in the order sent in \
                   each life of a container",
        check: Check::News(order::in_order),
    },
    Law {
        name: "serial-one-at-a-time",
        sentence: "a container of a serial kind begins with a request when the one before is answered",
        check: Check::News(order::one_at_a_time),
    },
    Law {
        name: "answered-in-time",
        sentence: "every call is answered or fails by its deadline",
        check: Check::Time(requests::in_time),
    },
    Law {
        name: "answer-fits",
        sentence: "an answer is that of a container that ran the request, and the code of an error \
                   says what is so: of a request that it did not run and will not, is too late or not \
                   known, of a get that nobody offers the kind or may have it, that there is no room",
        check: Check::News(codes::fits),
    },
    Law {
        name: "within-bounds",
        sentence: "at every step, queues and maps are within what the configuration and the load \
                   allow",
        check: Check::Step(bounds::within),
    },
    Law {
        name: "bounded",
        sentence: "once it is quiet, nothing is held, waits or is under way anywhere",
        check: Check::Calm(limits::bounded),
    },
    Law {
        name: "nothing-leaks",
        sentence: "once everything was let go, no container and no reference is left",
        check: Check::End(limits::empty),
    },
    Law {
        name: "feed-is-true",
        sentence: "once it is quiet, what subscribers of the feed believe is what the server knows; \
                   what they are told has no gaps",
        check: Check::Calm(told::feed),
    },
    Law {
        name: "holders-know-where",
        sentence: "once it is quiet, who holds a container knows where it is",
        check: Check::Calm(told::whereabouts),
    },
    Law {
        name: "placed-as-specified",
        sentence: "a container is placed by the latest specification of its kind that its agent was \
                   told, never by defaults where there is one, on an agent that it selects",
        check: Check::News(kinds::placed),
    },
    Law {
        name: "max-per-agent",
        sentence: "an agent is told to start no more containers of a kind than its specification \
                   lets it have, as far as its server knows what there is",
        check: Check::News(crowds::kept),
    },
    Law {
        name: "idle-is-spared",
        sentence: "once faults stop, a container that nobody holds is not ended before its idle time \
                   is over",
        check: Check::News(idle::spared),
    },
    Law {
        name: "idle-is-ended",
        sentence: "once faults stop, a container that nobody holds is ended when its idle time is over",
        check: Check::Time(idle::ended),
    },
    Law {
        name: "kinds-are-known",
        sentence: "once it is quiet, agents know the specifications that the operator said, and no \
                   other",
        check: Check::Calm(kinds::known),
    },
    Law {
        name: "standbys-take-over",
        sentence: "once it is quiet, a uuid whose containers are made beforehand is had by one of them, \
                   held or not",
        check: Check::Calm(standbys::have),
    },
    Law {
        name: "connections-lead-there",
        sentence: "once it is quiet, a direct connection leads to where its container accepts",
        check: Check::Calm(told::connections),
    },
    Law {
        name: "slow-are-spared",
        sentence: "an agent of which the server knows that much waits for it is handed no requests of \
                   clients",
        check: Check::News(readers::spared),
    },
    Law {
        name: "told-as-it-reads",
        sentence: "who subscribes to the feed is told the next chunk of what there is when little \
                   waits for it",
        check: Check::News(readers::told_in_time),
    },
    Law {
        name: "one-leads",
        sentence: "of several operators no two lead at one time, each by its own clock",
        check: Check::Event(leaders::one),
    },
    Law {
        name: "fenced-out",
        sentence: "a server that let in an operator lets none in with a lower fencing number, and does \
                   nothing of what such a one says",
        check: Check::News(leaders::fenced),
    },
    Law {
        name: "led-again",
        sentence: "once it is quiet, one of several operators leads and reaches the server",
        check: Check::Calm(leaders::led),
    },
    Law {
        name: SAME,
        sentence: "two runs of a seed are alike, message by message: the same state gives the same \
                   placement",
        check: Check::Twice,
    },
];

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub law: &'static str,
    /// When, since the beginning.
    pub at: Duration,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{} is broken at {at:.4} s: {}", self.law, self.what)
    }
}

/// What the laws remember.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    broken: Vec<Violation>,
    names: BTreeSet<&'static str>,
    /// How often each had something to judge.
    judged: BTreeMap<&'static str, u64>,
    /// The copies that there were after the last thing that happened, by uuid.
    pub(crate) before: BTreeMap<String, Vec<(CopyId, Option<Epoch>)>>,
    /// Whether there was something to let go of once it was calm.
    had: bool,
}

impl Laws {
    pub(crate) fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.broken)
    }

    /// How often each law had something to judge.
    pub(crate) fn judged(&self) -> BTreeMap<&'static str, u64> {
        self.judged.clone()
    }
}

/// What the server says.
#[derive(Debug)]
pub(crate) struct ServerView {
    pub(crate) agents: Vec<AgentInfo>,
    pub(crate) containers: Vec<ContainerRecord>,
    pub(crate) snapshot: Snapshot,
}

impl ServerView {
    /// The references that it knows of a container; nothing if it does not know it.
    pub(crate) fn references(&self, uuid: &str) -> Option<u32> {
        let record = self.containers.iter().find(|record| record.uuid == uuid)?;
        record.huly.as_ref()?.references
    }
}

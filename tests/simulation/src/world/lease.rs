//! The Lease of the operators, at an API server that answers late, or not at all.

use std::time::Duration;

use huly_election::{NotRead, Record, Write, WriteError};

use super::{Event, ProcessId, World};
use crate::program::Came;
use crate::sabotage::Sabotage;

/// How many of a hundred answers are lost until everything is mended.
const LOST: u64 = 6;

/// What a candidate asks of the API server.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Read,
    Write {
        write: Write,
        /// How long the Lease is its holder's without a renewal.
        duration: Duration,
        /// The time of day of who writes, in ns since 1970.
        renewed: i128,
    },
}

/// What the API server answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Read(Result<Option<Record>, NotRead>),
    Written(Result<Record, WriteError>),
}

/// The Lease as the API server has it.
#[derive(Debug, Default)]
pub(super) struct Lease {
    record: Option<Record>,
    versions: u64,
}

impl Lease {
    /// What follows another version than the present one is refused.
    fn write(
        &mut self,
        now: Duration,
        (write, duration, renewed): (Write, Duration, i128),
        follows_any: bool,
    ) -> Result<Record, WriteError> {
        let present = self.record.as_ref().map(|record| &record.version);
        if present != write.follows.as_ref() && !follows_any {
            return Err(WriteError::Conflict);
        }
        self.versions += 1;
        let created = self.record.as_ref().map(|record| record.created);
        let record = Record {
            version: self.versions.to_string(),
            created: created.unwrap_or(now.as_secs() as i64),
            holder: write.holder,
            duration: Some(duration),
            transitions: write.transitions,
            renewed: Some(renewed),
        };
        self.record = Some(record.clone());
        Ok(record)
    }
}

impl World {
    /// A candidate asks; it takes a while until that arrives.
    pub(super) fn ask_lease(&mut self, process: ProcessId, request: u64, ask: Ask) {
        let at = self.now + self.delay(process, process);
        let asked = Event::LeaseAsked {
            process,
            request,
            ask,
        };
        self.plan(at, asked);
    }

    /// What was asked arrives at the API server, if anything does.
    pub(super) fn answer_lease(&mut self, process: ProcessId, request: u64, ask: Ask) {
        if self.misses_api_server(process) {
            return;
        }
        let follows_any = self.sabotage == Some(Sabotage::BlindWrites);
        let refuses = self.sabotage == Some(Sabotage::RefuseLeases);
        let answer = match ask {
            Ask::Read => Answer::Read(Ok(self.lease.record.clone())),
            Ask::Write { .. } if refuses => Answer::Written(Err(WriteError::Conflict)),
            Ask::Write {
                write,
                duration,
                renewed,
            } => {
                let written = (write, duration, renewed);
                Answer::Written(self.lease.write(self.now, written, follows_any))
            }
        };
        let faulty = self.now < self.scenario.mended;
        let at = self.now + self.delay(process, process);
        if !(faulty && self.random.percent(LOST)) {
            let answered = Event::LeaseAnswered {
                process,
                request,
                answer,
            };
            self.plan(at, answered);
        }
    }

    pub(super) fn hear_of_lease(&mut self, process: ProcessId, request: u64, answer: Answer) {
        if !self.misses_api_server(process) {
            self.give(process, Came::Lease { request, answer });
        }
    }

    fn misses_api_server(&self, process: ProcessId) -> bool {
        let place = &self.process(process).place;
        self.isolated.contains(place) || self.without_api.contains(place)
    }
}

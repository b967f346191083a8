//! An operator that is one of several: the real elector, with a Lease at the API server.

use std::time::Duration;

use huly_election::{Effect, Elector, Input, NotRead, Record, Terms, Write, WriteError};

use crate::program::{Action, Context};
use crate::sabotage::Sabotage;
use crate::words;
use crate::world::lease::{Answer, Ask};

/// Shorter than the operator's own, in the same proportions, so that there are changes of hands.
pub(crate) const TERMS: Terms = Terms {
    duration: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry: Duration::from_millis(400),
};

/// What becomes of the operator's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It leads, with this fencing number.
    Lead(u64),
    /// It leads no more.
    Follow,
}

/// A request to the API server without an answer.
#[derive(Debug)]
struct Asked {
    number: u64,
    /// What is to be written, unless it is a reading.
    write: Option<Write>,
    until: Duration,
}

#[derive(Debug)]
pub(crate) struct Candidacy {
    elector: Elector,
    asked: Option<Asked>,
    requests: u64,
    /// Until when it leads, by its own clock, with which number.
    tenure: Option<(Duration, u64)>,
    /// After how long whoever has the session hears that it leads no more.
    lag: Duration,
    follows_at: Option<Duration>,
}

impl Candidacy {
    pub(crate) fn new(identity: &str, lag: Duration, now: Duration) -> Self {
        Self {
            elector: Elector::new(identity, TERMS, now),
            asked: None,
            requests: 0,
            tenure: None,
            lag,
            follows_at: None,
        }
    }

    /// Until when it leads by its own clock, if it does.
    pub(crate) fn leads_until(&self) -> Option<Duration> {
        self.tenure.map(|(until, _)| until)
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        let asked = self.asked.as_ref().map(|asked| asked.until);
        let all = self.elector.deadline().into_iter();
        all.chain(asked).chain(self.follows_at).min()
    }

    /// The time has come for something, or not.
    pub(super) fn wake(&mut self, cx: &mut Context) -> Vec<Turn> {
        let given_up = self.asked.take_if(|asked| asked.until <= cx.now);
        let mut turns = match given_up {
            Some(Asked { write: None, .. }) => self.input(cx, Input::Read(Err(NotRead))),
            Some(Asked {
                write: Some(write), ..
            }) => self.written(cx, write, Err(WriteError::Failed)),
            None => Vec::new(),
        };
        if self.elector.deadline().is_some_and(|at| at <= cx.now) {
            turns.extend(self.input(cx, Input::Tick));
        }
        let follows = self.follows_at.take_if(|at| *at <= cx.now);
        turns.extend(follows.map(|_| Turn::Follow));
        turns
    }

    /// The API server has answered: too late, if it was given up.
    pub(super) fn answered(&mut self, cx: &mut Context, request: u64, answer: Answer) -> Vec<Turn> {
        let asked = self.asked.take_if(|asked| asked.number == request);
        match (asked.map(|asked| asked.write), answer) {
            (Some(None), Answer::Read(read)) => self.input(cx, Input::Read(read)),
            (Some(Some(write)), Answer::Written(written)) => self.written(cx, write, written),
            _ => Vec::new(),
        }
    }

    fn written(
        &mut self,
        cx: &mut Context,
        write: Write,
        written: Result<Record, WriteError>,
    ) -> Vec<Turn> {
        let renews = write.holder.is_some() && !write.acquires;
        let written = match written {
            Err(_) if renews && cx.does(Sabotage::ClaimRenewals) => Ok(Record {
                version: write.follows.unwrap_or_default(),
                created: 0,
                holder: write.holder,
                duration: Some(TERMS.duration),
                transitions: write.transitions,
                renewed: None,
            }),
            written => written,
        };
        self.input(cx, Input::Written(written))
    }

    /// The network server knows a higher number.
    pub(super) fn superseded(&mut self, cx: &mut Context) -> Vec<Turn> {
        self.input(cx, Input::Superseded)
    }

    fn input(&mut self, cx: &mut Context, input: Input) -> Vec<Turn> {
        let mut turns = Vec::new();
        for effect in self.elector.handle(cx.now, input) {
            match effect {
                Effect::Read => self.ask(cx, Ask::Read),
                Effect::Write(write) => {
                    let ask = Ask::Write {
                        write,
                        duration: TERMS.duration,
                        renewed: i128::from(cx.wall_ms) * 1_000_000,
                    };
                    self.ask(cx, ask);
                }
                Effect::Lead { number, until, .. } => {
                    cx.tell(format!("leads, with number {number}"));
                    self.tenure = Some((until, number));
                    turns.extend(self.follows_at.take().map(|_| Turn::Follow));
                    turns.push(Turn::Lead(number));
                }
                Effect::Prolong { until } => {
                    self.tenure = self.tenure.map(|(_, number)| (until, number));
                }
                Effect::Follow(why) => {
                    cx.tell(format!("leads no more: {}", words::of_following(why)));
                    self.tenure = None;
                    self.follows_at = Some(cx.now + self.lag);
                }
                Effect::Left => {}
            }
        }
        turns
    }

    fn ask(&mut self, cx: &mut Context, ask: Ask) {
        self.requests += 1;
        self.asked = Some(Asked {
            number: self.requests,
            write: match &ask {
                Ask::Read => None,
                Ask::Write { write, .. } => Some(write.clone()),
            },
            // So that a second try is still in time.
            until: cx.now + TERMS.renew_deadline / 2,
        });
        let request = self.requests;
        cx.actions.push(Action::Lease { request, ask });
    }
}

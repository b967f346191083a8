//! A client: asks at a steady pace, one thing after the other, and notes what becomes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use huly_client::{Client, Connection, ContainerRef, Error, ErrorKind};
use huly_protocol::Epoch;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::book::{Book, Ended};
use super::counter::{Counter, Told};
use super::tally::{Fate, Said};

/// How much later than its deadline a request may come to its end.
const NO_END: Duration = Duration::from_secs(5);

/// What a client does, and by which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Increments a counter through the network server.
    Routed,
    /// The same, marked idempotent.
    RoutedIdempotent,
    /// Increments a counter over a direct connection.
    Direct,
    /// The same, marked idempotent.
    DirectIdempotent,
    /// Gets a container, asks it once, releases it: by turns by a new uuid and by a label.
    Gets,
}

impl Way {
    /// What the n-th client does.
    pub(crate) fn of(client: usize) -> Self {
        let all = Self::value_variants();
        all[client % all.len()]
    }

    /// How many requests it sends in a turn.
    fn requests(self) -> u32 {
        match self {
            Self::Gets => 3,
            _ => 1,
        }
    }

    /// Whether it asks over a direct connection.
    pub(crate) fn is_direct(self) -> bool {
        matches!(self, Self::Direct | Self::DirectIdempotent)
    }

    /// Whether it marks what it asks as idempotent.
    pub(crate) fn is_idempotent(self) -> bool {
        matches!(self, Self::RoutedIdempotent | Self::DirectIdempotent)
    }
}

/// How all of them ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// From one request of a client to its next.
    pub(crate) pace: Duration,
    pub(crate) deadline: Duration,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Caller {
    number: usize,
    way: Way,
    client: Client,
    book: Arc<Book>,
    manner: Manner,
    /// Its counter, of those that have one.
    held: Option<Held>,
    turns: u64,
}

#[derive(Debug)]
struct Held {
    reference: ContainerRef,
    direct: Option<Connection>,
    counter: Counter,
    /// The lives of the container that were seen.
    epochs: BTreeSet<Epoch>,
    failovers: u32,
}

impl Held {
    /// Notes what the network says of the container's lives.
    fn look(&mut self) {
        if let Some(placement) = self.reference.placement() {
            self.epochs.extend(placement.epoch);
            self.failovers = self.failovers.max(placement.failovers);
        }
    }

    /// How many lives the container has had, as the network says.
    fn lives(&self) -> u64 {
        let seen = self.epochs.len() as u64;
        seen.max(u64::from(self.failovers) + 1)
    }
}

impl Caller {
    /// Connects, and gets the counter of those that have one; `run` is part of its name.
    ///
    /// # Errors
    /// When the network does not answer.
    pub(crate) async fn start(
        server: &str,
        run: &str,
        number: usize,
        book: Arc<Book>,
        manner: Manner,
    ) -> Result<Self> {
        let way = Way::of(number);
        let client = Client::builder(server).build();
        let mut caller = Self {
            number,
            way,
            client,
            book,
            manner,
            held: None,
            turns: 0,
        };
        if way != Way::Gets {
            let uuid = format!("{run}-{number}");
            let reference = caller.client.get("counter").uuid(uuid).await?;
            let direct = match way {
                Way::Direct | Way::DirectIdempotent => Some(reference.connect().await?),
                _ => None,
            };
            caller.held = Some(Held {
                reference,
                direct,
                counter: Counter::new(way.is_idempotent()),
                epochs: BTreeSet::new(),
                failovers: 0,
            });
        }
        Ok(caller)
    }

    /// Asks until it is told to stop, and once more.
    ///
    /// # Errors
    /// Never because of what the network does.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) -> Result<()> {
        // Clients ask one after the other, not all at once.
        let spread = u32::try_from(self.number * 7 % 100)?;
        let turn = self.manner.pace * self.way.requests();
        let mut pace = interval_at(Instant::now() + turn * spread / 100, turn);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let last = *stop.borrow();
            match self.held.take() {
                Some(mut held) => {
                    self.increment(&mut held).await;
                    self.held = Some(held);
                }
                None => self.visit().await,
            }
            if last {
                break;
            }
        }
        if let Some(held) = self.held.take() {
            // A counter that began anew more often than its container did has lost its state.
            if held.counter.lives() > held.lives() {
                self.book.note_lost(self.way);
            }
        }
        self.client.close().await;
        Ok(())
    }

    async fn increment(&self, held: &mut Held) {
        held.look();
        let by = json!({ "by": 1 });
        let asking = async {
            let request = match &held.direct {
                Some(connection) => connection.request("increment", &by),
                None => held.reference.request("increment", &by),
            };
            let request = request.deadline(self.manner.deadline);
            let answer: Value = match self.way.is_idempotent() {
                true => request.idempotent().await?,
                false => request.await?,
            };
            value(&answer)
        };
        let (asked, fate, answer) = self.ask(asking).await;
        let told = match (fate, answer) {
            (Fate::Answered { .. }, Some(value)) => Some(held.counter.answered(value)),
            (Fate::Failed(kind), _) => {
                held.counter.failed(Said::by(kind) != Said::NotRun);
                None
            }
            _ => {
                held.counter.failed(true);
                None
            }
        };
        self.note(asked, fate, told);
        held.look();
    }

    /// Gets a container, asks it and lets it go.
    async fn visit(&mut self) {
        self.turns += 1;
        let by_uuid = self.turns.is_multiple_of(2);
        let get = match by_uuid {
            true => {
                let uuid = format!("{}-{}", self.client.client_id(), self.turns);
                self.client.get("counter").uuid(uuid)
            }
            false => self.client.get("counter").labels([self.client.client_id()]),
        };
        let getting = async { get.deadline(self.manner.deadline).await };
        let (asked, fate, got) = self.ask(getting).await;
        self.note(asked, fate, None);
        let Some(got) = got else { return };

        let asking = async {
            let request = got.request("increment", &json!({ "by": 1 }));
            let answer: Value = request.deadline(self.manner.deadline).await?;
            value(&answer)
        };
        let (asked, fate, answer) = self.ask(asking).await;
        // Nobody else knows the uuid. What has a label was perhaps counted up before.
        let told = answer.filter(|_| by_uuid).map(|value| match value {
            0 => Told::Lost,
            1 => Told::Next,
            more => Told::Twice(more - 1),
        });
        self.note(asked, fate, told);

        let (asked, fate, _) = self.ask(got.release()).await;
        self.note(asked, fate, None);
    }

    /// Asks, and says when it did and what became of it.
    async fn ask<T>(
        &self,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> (Instant, Fate, Option<T>) {
        let (asked, resent) = (Instant::now(), self.client.resent());
        let (fate, answer) = match timeout(self.manner.deadline + NO_END, asking).await {
            Ok(Ok(answer)) => {
                let answered = Fate::Answered {
                    took: asked.elapsed(),
                    resent: self.client.resent() > resent,
                };
                (answered, Some(answer))
            }
            Ok(Err(error)) => {
                let client = self.number;
                tracing::info!(way = ?self.way, client, %error, kind = ?error.kind, "failed");
                (Fate::Failed(error.kind), None)
            }
            Err(_) => (Fate::Endless, None),
        };
        (asked, fate, answer)
    }

    fn note(&self, asked: Instant, fate: Fate, told: Option<Told>) {
        if let Some(Told::Twice(_) | Told::Lost) = told {
            tracing::error!(way = ?self.way, client = self.number, ?told, "a promise is broken");
        }
        let ended = Ended {
            way: self.way,
            asked,
            fate,
            told,
        };
        self.book.note(self.number, ended);
    }
}

/// What a counter says.
fn value(answer: &Value) -> Result<u64, Error> {
    let value = answer.get("value").and_then(Value::as_u64);
    let wrong = || {
        let message = format!("a counter says {answer}");
        Error::new(ErrorKind::Protocol, message)
    };
    value.ok_or_else(wrong)
}

//! Clients that talk in rooms, without a pause.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use futures::stream::BoxStream;
use huly_client::{Client, Error, Json};
use huly_protocol::Epoch;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::AGAIN;
use super::fates::Fates;
use super::journal::Journal;
use crate::held::{Held, Way};

/// The kind of the rooms.
pub(super) const KIND: &str = "chat-room";

/// When a client says the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// At its time, whatever became of what was said before.
    Steady,
    /// Not before the last is answered.
    Patient,
}

impl Manner {
    /// From one message to the next.
    fn pace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Steady => 100,
            Self::Patient => 20,
        })
    }

    /// How long a call may take.
    fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Steady => 10,
            Self::Patient => 30,
        })
    }
}

/// What its messages are counted as.
fn counted(way: Way, manner: Manner) -> &'static str {
    match (way, manner) {
        (Way::Routed, Manner::Steady) => "routed",
        (Way::Routed, Manner::Patient) => "routed patiently",
        (Way::Direct, Manner::Steady) => "direct",
        (Way::Direct, Manner::Patient) => "direct patiently",
    }
}

/// A room in which one client talks.
pub(super) struct Room {
    counted: &'static str,
    manner: Manner,
    held: Arc<Held>,
    events: BoxStream<'static, Json>,
    /// Its life at the first message, and how often it had been placed again.
    epoch: Epoch,
    failovers: u32,
    journal: Journal,
    fates: Fates,
    answered: Instant,
}

/// Something that was said in a room: its place, and the number that it was said under.
#[derive(Deserialize)]
struct Message {
    id: u64,
    text: String,
}

impl Room {
    /// Gets a room, connects by the way, and has a first message answered.
    ///
    /// # Errors
    /// When that does not come about.
    pub(super) async fn enter(
        client: &Client,
        name: &str,
        way: Way,
        manner: Manner,
    ) -> Result<Self> {
        let held = Held::get(client, KIND, name, way).await?;
        let placement = held.container().placement();
        let placement = placement.context("a room has a place")?;
        let epoch = placement.epoch.context("a room has an epoch")?;
        let events = match &held {
            Held::Routed(_) => futures::stream::pending().boxed(),
            Held::Direct(connection) => connection.events().boxed(),
        };
        let mut room = Self {
            counted: counted(way, manner),
            manner,
            held: Arc::new(held),
            events,
            epoch,
            failovers: placement.failovers,
            journal: Journal::default(),
            fates: Fates::default(),
            answered: Instant::now(),
        };
        let number = room.journal.say(Instant::now());
        let first = say(&room.held, number, manner.deadline()).await;
        room.came_to(number, &first)?;
        first?;
        Ok(room)
    }

    /// Talks until it is told to stop; then everything that was said has come to something, the
    /// room answers once more, and what it remembers fits.
    ///
    /// # Errors
    /// When something does not fit.
    pub(super) async fn talk(mut self, mut stop: watch::Receiver<bool>) -> Result<Fates> {
        let name = self.held.container().uuid().to_owned();
        self.talk_on(&mut stop).await.context(name.clone())?;
        self.end().await.context(name)
    }

    async fn talk_on(&mut self, stop: &mut watch::Receiver<bool>) -> Result<()> {
        let mut pace = interval(self.manner.pace());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        self.answered = Instant::now();
        loop {
            tokio::select! {
                _ = pace.tick(), if self.may_go_on(&under_way) => {
                    let number = self.journal.say(Instant::now());
                    let (held, deadline) = (Arc::clone(&self.held), self.manner.deadline());
                    under_way.spawn(async move { (number, say(&held, number, deadline).await) });
                }
                Some(done) = under_way.join_next() => {
                    let (number, outcome) = done?;
                    self.came_to(number, &outcome)?;
                }
                Some(event) = self.events.next() => self.heard(&event)?,
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while let Some(done) = under_way.join_next().await {
            let (number, outcome) = done?;
            self.came_to(number, &outcome)?;
        }
        Ok(())
    }

    fn may_go_on<T>(&self, under_way: &JoinSet<T>) -> bool {
        match self.manner {
            Manner::Steady => true,
            Manner::Patient => under_way.is_empty(),
        }
    }

    fn came_to(&mut self, number: u64, outcome: &Result<u64, Error>) -> Result<()> {
        let now = Instant::now();
        let took = now - self.journal.sent(number)?;
        let (counted, deadline) = (self.counted, self.manner.deadline());
        self.fates.note(counted, outcome, took, deadline)?;
        self.journal.came_to(number, outcome, now)?;
        if outcome.is_ok() {
            self.fates.was_silent(counted, now - self.answered);
            self.answered = now;
        }
        Ok(())
    }

    fn heard(&mut self, event: &Json) -> Result<()> {
        let message: Message = event.read().context("a room's event")?;
        let number = message.text.parse().context("what a room says")?;
        self.journal.ran(number, message.id).context("heard")
    }

    async fn end(mut self) -> Result<Fates> {
        // What went wrong is over.
        let began = Instant::now();
        loop {
            let number = self.journal.say(Instant::now());
            let last = say(&self.held, number, self.manner.deadline()).await;
            self.came_to(number, &last)?;
            match last {
                Ok(_) => break,
                Err(error) if began.elapsed() > AGAIN => bail!("it does not answer again: {error}"),
                Err(_) => {}
            }
        }
        let history = self.held.request("history", &json!(null));
        let remembered: Vec<Message> = history.deadline(self.manner.deadline()).await?;
        let remembered = remembered
            .into_iter()
            .map(|message| Ok((message.id, message.text.parse()?)))
            .collect::<Result<Vec<(u64, u64)>>>()?;
        let placement = self.held.container().placement();
        let placement = placement.context("a room that answers has a place")?;
        let same = placement.epoch == Some(self.epoch);
        self.fates.restarted = usize::from(!same);
        if let Manner::Patient = self.manner {
            let failovers = placement.failovers.saturating_sub(self.failovers);
            self.fates.waited_in_vain(failovers);
        }
        while let Ok(Some(event)) = timeout(Duration::ZERO, self.events.next()).await {
            self.heard(&event)?;
        }
        self.journal.compare(&remembered, same)?;
        drop(self.events);
        if let Some(held) = Arc::into_inner(self.held) {
            held.release().await?;
        }
        Ok(self.fates)
    }
}

/// Says a number in a room; returns its place there.
async fn say(room: &Held, number: u64, deadline: Duration) -> Result<u64, Error> {
    #[derive(Deserialize)]
    struct Place {
        id: u64,
    }
    let message = json!({ "text": number.to_string() });
    let saying = room.request("say", &message).deadline(deadline);
    let Place { id } = saying.await?;
    Ok(id)
}

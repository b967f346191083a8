//! Clients that count counters up while something happens to the agents.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use huly_client::{Client, Connection, ContainerRef, Error, ErrorKind};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::counters::{Counted, KIND};
use crate::release::Release;

/// How often each counter is asked to count.
const PACE: Duration = Duration::from_millis(5);

/// How long the last answers may take: more than the network holds a request.
const LAST_ANSWER: Duration = Duration::from_secs(60);

/// A client that counts each of some counters up, half of them through the server and half of
/// them over a direct connection. It alone does, so each answer tells whether an increment was
/// lost or ran twice, and whether an older life of the counter answered once more.
pub struct Traffic {
    stop: watch::Sender<bool>,
    clients: JoinSet<Result<Sent>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many were answered.
    pub answered: u64,
    /// How many were not, by why.
    pub failed: BTreeMap<String, u64>,
    /// The longest that a counter went without an answer.
    pub silence: Duration,
}

impl Traffic {
    /// Begins with each of these counters at its value, and returns once each has counted.
    ///
    /// # Errors
    /// When one is not there.
    pub async fn start(release: &Release, counters: &[Counted]) -> Result<Self> {
        let client = Client::builder(release.address()).build();
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for (number, counter) in counters.iter().enumerate() {
            let held = client.get(KIND).uuid(&counter.name).await?;
            let way = if number % 2 == 0 {
                Way::Routed(held)
            } else {
                let connection = held.connect().await?;
                ensure!(
                    connection.is_direct(),
                    "the agent of {counter:?} is not reached"
                );
                Way::Direct(connection)
            };
            let mut tally = Tally::of(counter.value);
            let first = way.increment().await?;
            tally.answered(first).context(counter.name.clone())?;
            let (name, stopped) = (counter.name.clone(), stopped.clone());
            clients.spawn(async move { count(&way, tally, stopped).await.context(name) });
        }
        Ok(Self { stop, clients })
    }

    /// Ends them, each with an answer, and sums up.
    ///
    /// # Errors
    /// When an answer was one that must not be, a request failed as none should, or a counter does
    /// not answer any more.
    pub async fn stop(self) -> Result<Sent> {
        self.stop.send_replace(true);
        let summed = timeout(LAST_ANSWER, self.sum());
        summed.await.context("a counter does not answer any more")?
    }

    async fn sum(mut self) -> Result<Sent> {
        let mut all = Sent::default();
        while let Some(one) = self.clients.join_next().await {
            let one = one.context("a client was cut off")??;
            all.answered += one.answered;
            all.silence = all.silence.max(one.silence);
            for (why, count) in one.failed {
                *all.failed.entry(why).or_default() += count;
            }
        }
        Ok(all)
    }
}

enum Way {
    Routed(ContainerRef),
    Direct(Connection),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Routed(_) => "routed",
            Self::Direct(_) => "direct",
        }
    }

    async fn increment(&self) -> Result<u64, Error> {
        let by = json!({ "by": 1 });
        let answer: Value = match self {
            Self::Routed(held) => held.request("increment", &by).await?,
            Self::Direct(connection) => connection.request("increment", &by).await?,
        };
        let value = answer["value"].as_u64();
        value.ok_or_else(|| Error::new(ErrorKind::Protocol, format!("a counter says {answer}")))
    }
}

/// Counts until it is told to stop, and is answered: what went wrong meanwhile is over then.
async fn count(way: &Way, mut tally: Tally, stopped: watch::Receiver<bool>) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut last = Instant::now();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let stop = *stopped.borrow();
        match way.increment().await {
            Ok(value) => {
                tally.answered(value)?;
                sent.answered += 1;
                sent.silence = sent.silence.max(last.elapsed());
                last = Instant::now();
                if stop {
                    return Ok(sent);
                }
            }
            Err(error) => {
                match error.kind {
                    ErrorKind::OutcomeUnknown => tally.uncertain += 1,
                    // It did not run.
                    ErrorKind::Busy
                    | ErrorKind::Gone
                    | ErrorKind::Interrupted
                    | ErrorKind::NoSuitableAgent
                    | ErrorKind::TimedOut => {}
                    _ => bail!("a request failed: {error:?}"),
                }
                let why = format!("{}: {error}", way.name());
                *sent.failed.entry(why).or_default() += 1;
            }
        }
    }
}

/// What a counter's next answer may be.
#[derive(Debug)]
struct Tally {
    last: u64,
    /// How many increments since may have run, or not.
    uncertain: u64,
}

impl Tally {
    fn of(value: u64) -> Self {
        Self {
            last: value,
            uncertain: 0,
        }
    }

    /// # Errors
    /// When the value is neither the next of this life nor one of the first of another.
    fn answered(&mut self, value: u64) -> Result<()> {
        let ahead = value.checked_sub(self.last);
        let next = ahead.is_some_and(|ahead| (1..=self.uncertain + 1).contains(&ahead));
        let first = (1..=self.uncertain + 1).contains(&value);
        ensure!(next || first, "it counts {value} now: {self:?}");
        *self = Self::of(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_or_begins_anew() -> Result<()> {
        let mut tally = Tally::of(7);
        tally.answered(8)?;
        tally.uncertain = 2;
        tally.answered(11)?;
        tally.answered(1)?;
        tally.uncertain = 1;
        tally.answered(2)
    }

    #[test]
    fn nothing_else_goes_unnoticed() {
        for (what, uncertain, value) in [
            ("an increment ran twice", 0, 9),
            ("an increment was lost", 0, 7),
            ("another life is too far", 1, 3),
            ("more ran than were sent", 1, 10),
        ] {
            let mut tally = Tally::of(7);
            tally.uncertain = uncertain;
            assert!(tally.answered(value).is_err(), "{what}");
        }
    }
}

//! Requests at a steady rate.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_client::{Client, Json, RequestOptions};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often those are sent that are due.
const TICK: Duration = Duration::from_millis(2);

/// What the requests came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    failed: usize,
    /// How long each answer took, the shortest first.
    took: Vec<Duration>,
}

/// Sends requests to all containers of a kind in turn: when they are due, whether or not others are
/// answered.
///
/// # Errors
/// When there is no container of the kind, or the network does not say.
pub(crate) async fn send(client: &Client, kind: &str, rate: u32, seconds: u64) -> Result<Outcome> {
    let containers = client.containers(Some(kind)).await?;
    ensure!(!containers.is_empty(), "there is no container of {kind}");
    let data = Json::of(&json!({ "filling": "x".repeat(64 - r#"{"filling":""}"#.len()) }))?;
    let mut uuids = containers.into_iter().map(|one| one.uuid).cycle();

    let began = Instant::now();
    let last = Duration::from_secs(seconds);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut running, mut sent, mut outcome) = (JoinSet::new(), 0, Outcome::default());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let elapsed = began.elapsed().min(last);
                let due = due(rate, elapsed);
                for uuid in uuids.by_ref().take(due - sent) {
                    running.spawn(ask(client.clone(), uuid, data.clone()));
                }
                sent = due;
                if elapsed == last {
                    break;
                }
            }
            Some(answered) = running.join_next() => outcome.add(answered?),
        }
    }
    while let Some(answered) = running.join_next().await {
        outcome.add(answered?);
    }
    outcome.took.sort_unstable();
    Ok(outcome)
}

/// How many requests are due after a time.
fn due(rate: u32, elapsed: Duration) -> usize {
    let due = elapsed.as_micros() * u128::from(rate) / 1_000_000;
    usize::try_from(due).unwrap_or(usize::MAX)
}

/// How long an answer takes; none if it fails.
async fn ask(client: Client, uuid: String, data: Json) -> Option<Duration> {
    let asked = Instant::now();
    let options = RequestOptions::default();
    let answer = client.request_json(&uuid, "echo", data, options).await;
    answer.is_ok().then(|| asked.elapsed())
}

impl Outcome {
    fn add(&mut self, took: Option<Duration>) {
        match took {
            Some(took) => self.took.push(took),
            None => self.failed += 1,
        }
    }

    /// The time that this many of a hundred answers took at most; nothing if there is no answer.
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        self.took
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} requests answered (p50 {} µs, p99 {} µs), {} failed",
            self.took.len(),
            self.percentile(50).as_micros(),
            self.percentile(99).as_micros(),
            self.failed,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_due_as_the_rate_says() {
        assert_eq!(due(2_000, Duration::ZERO), 0);
        assert_eq!(due(2_000, Duration::from_millis(2)), 4);
        assert_eq!(due(2_000, Duration::from_secs(60)), 120_000);
    }

    #[test]
    fn what_they_came_to_is_said_in_a_line() {
        let mut outcome = Outcome::default();
        assert_eq!(
            outcome.to_string(),
            "0 requests answered (p50 0 µs, p99 0 µs), 0 failed"
        );
        for micros in 1..=101 {
            outcome.add(Some(Duration::from_micros(micros)));
        }
        outcome.add(None);
        assert_eq!(
            outcome.to_string(),
            "101 requests answered (p50 51 µs, p99 100 µs), 1 failed"
        );
    }
}

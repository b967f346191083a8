//! The network as the story sees it: through the command line program.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use crate::command::{self, Program, Running};

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the network is asked about what it does not tell by itself.
const ASK: Duration = Duration::from_millis(100);

/// The command line program, knowing its network.
#[derive(Debug, Clone)]
pub(super) struct Network {
    program: PathBuf,
    address: String,
}

impl Network {
    pub(super) fn new(program: PathBuf, address: String) -> Self {
        Self { program, address }
    }

    /// Sends a container a request and returns its answer.
    pub(super) async fn request(&self, uuid: &str, operation: &str, data: &Value) -> Result<Value> {
        let said = command::capture(self.huly().arguments([
            "request",
            uuid,
            operation,
            &data.to_string(),
            "-o",
            "json",
        ]))
        .await?;
        serde_json::from_str(&said)
            .with_context(|| format!("{uuid} answered {operation} with no JSON: {said}"))
    }

    /// Adds to a counter and returns its value.
    pub(super) async fn increment(&self, uuid: &str) -> Result<u64> {
        let answer = self.request(uuid, "increment", &Value::Null).await?;
        value_of(&answer)
    }

    /// A counter's value.
    pub(super) async fn value(&self, uuid: &str) -> Result<u64> {
        let answer = self.request(uuid, "value", &Value::Null).await?;
        value_of(&answer)
    }

    /// Follows a chat room's events; comes back once the room knows of its new member.
    pub(super) async fn watch_room(&self, uuid: &str) -> Result<Watch> {
        let before = self.members(uuid).await?;
        let program = self
            .huly()
            .arguments(["watch", "--container", uuid, "-o", "json"]);
        let mut running = Running::new(program.spawn(Stdio::piped(), Stdio::null())?);
        let output = running.take_stdout().context("the watch says nothing")?;
        let watch = Watch {
            lines: BufReader::new(output).lines(),
            _running: running,
        };
        let deadline = Instant::now() + PATIENCE;
        while self.members(uuid).await? <= before {
            if Instant::now() >= deadline {
                bail!("the room {uuid} has no new member after {PATIENCE:?}");
            }
            tokio::time::sleep(ASK).await;
        }
        Ok(watch)
    }

    async fn members(&self, uuid: &str) -> Result<usize> {
        let answer = self.request(uuid, "members", &Value::Null).await?;
        match answer.get("members").unwrap_or(&answer) {
            Value::Array(members) => Ok(members.len()),
            Value::Number(count) => count
                .as_u64()
                .and_then(|count| count.try_into().ok())
                .context("no count"),
            other => bail!("the room {uuid} says of its members: {other}"),
        }
    }

    fn huly(&self) -> Program {
        Program::new(&self.program)
            .without_variables(&["HULY_"])
            .arguments(["--network", &self.address])
    }
}

/// A container's events as they arrive.
pub(super) struct Watch {
    lines: Lines<BufReader<ChildStdout>>,
    _running: Running,
}

impl Watch {
    /// The next event that holds `text`.
    pub(super) async fn event_with(&mut self, text: &str) -> Result<String> {
        let arrives = async {
            while let Some(line) = self.lines.next_line().await.context("the watch broke")? {
                if line.contains(text) {
                    return Ok(line);
                }
            }
            bail!("the watch ended before the event arrived")
        };
        tokio::time::timeout(PATIENCE, arrives)
            .await
            .with_context(|| format!("no event arrived within {PATIENCE:?}"))?
    }
}

fn value_of(answer: &Value) -> Result<u64> {
    answer
        .get("value")
        .and_then(Value::as_u64)
        .with_context(|| format!("a counter answered {answer}, which has no value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_counters_answer_has_a_value() {
        assert_eq!(value_of(&json!({"value": 3})).unwrap(), 3);
        assert!(value_of(&json!({"value": "3"})).is_err());
        assert!(value_of(&json!(3)).is_err());
    }
}

//! A client that talks in a room as a TypeScript one does, as a process.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use uuid::Uuid;

use super::journal::Journal;
use super::rooms::KIND;
use crate::eventually::SOON;
use crate::settings::variable;

/// How long its last answers may take, and a little.
const LAST_ANSWER: Duration = Duration::from_secs(75);

/// A client of the conformance tests in Python. Nobody else talks in its room. Dropped, it is killed.
pub struct OriginalTalker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What it says in the end.
#[derive(Debug, Deserialize)]
struct Told {
    /// The place of each message, in the order in which they were sent.
    answered: Vec<u64>,
    /// What the room remembers: places and numbers.
    remembered: Vec<(u64, u64)>,
}

impl OriginalTalker {
    /// Starts one in the network at `address`, and waits until it talks.
    ///
    /// # Errors
    /// When it does not soon.
    pub async fn start(address: &str) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/run_ts_talker.py");
        let room = format!("original-{}", Uuid::new_v4());
        let mut child = Command::new(variable("HULY_TEST_PYTHON")?)
            .args([script, address, KIND, &room])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the client in Python")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut talker = Self {
            child,
            lines: BufReader::new(output).lines(),
        };
        talker.line(SOON).await?;
        Ok(talker)
    }

    /// Ends it once all that it said is answered, and says how much that was. Its room must have lived
    /// on all the time.
    ///
    /// # Errors
    /// When something was not answered, was lost, or ran twice.
    pub async fn end(mut self) -> Result<usize> {
        drop(self.child.stdin.take());
        let line = self.line(LAST_ANSWER).await?;
        let told: Told = serde_json::from_str(&line).with_context(|| line.clone())?;
        let mut journal = Journal::default();
        for place in &told.answered {
            let now = Instant::now();
            let number = journal.say(now);
            journal.came_to(number, &Ok(*place), now)?;
        }
        journal.compare(&told.remembered, true)?;
        Ok(told.answered.len())
    }

    async fn line(&mut self, patience: Duration) -> Result<String> {
        let line = timeout(patience, self.lines.next_line()).await;
        let line = line.context("the client in Python says nothing")?;
        line?.context("the client in Python ended")
    }
}

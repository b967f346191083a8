//! An agent that behaves as the TypeScript one does, as a process.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::eventually::SOON;
use crate::settings::variable;

/// An agent of the conformance tests in Python. Dropped, it is killed.
#[derive(Debug)]
pub struct OriginalAgent {
    /// Its id.
    pub id: String,
    child: Child,
}

impl OriginalAgent {
    /// Starts one that serves `kinds` in the network at `address`, and waits until it is
    /// registered. Its containers answer `{"op", "data", "n", "hasClient"}`; with a ROUTER of its
    /// own, `router`, they take direct connections.
    ///
    /// # Errors
    /// When it does not start, or is not registered soon.
    pub async fn start(address: &str, router: bool, kinds: &[&str]) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/run_ts_agent.py");
        let mut child = Command::new(variable("HULY_TEST_PYTHON")?)
            .arg(script)
            .arg(address)
            .args(router.then_some("--router"))
            .args(kinds)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the agent in Python")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let line = timeout(SOON, lines.next_line()).await;
        let id = line
            .context("the agent in Python was not registered soon")??
            .context("the agent in Python ended")?;
        Ok(Self { id, child })
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill the agent")
    }
}

//! The programs of examples/tour: what they print, and what docs/examples.md says that they do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::network::server_of;
use crate::ports::free_port;
use crate::program::Program;
use crate::settings::variable;
use crate::walkthrough::Walkthrough;

/// How long an example may take: several times what the longest takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example that runs, with a network server of its own. Dropped, both are killed.
#[derive(Debug)]
pub struct Example {
    /// huly-network.
    pub server: Program,
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    printed: Vec<String>,
    logs: TempDir,
}

impl Example {
    /// What docs/examples.md says that each example prints, by name.
    ///
    /// # Errors
    /// When it has other commands, or one without its output.
    pub fn documented() -> Result<BTreeMap<String, Vec<String>>> {
        let document = Walkthrough::read(include_str!("../../docs/examples.md"))?;
        let mut all = BTreeMap::new();
        for (command, printed) in document.blocks() {
            let name = command.strip_prefix("cargo run -p tour --example ");
            let name = name.with_context(|| format!("what is this command? {command}"))?;
            ensure!(!printed.is_empty(), "what does {name} print?");
            let before = all.insert(name.to_owned(), printed.to_vec());
            ensure!(before.is_none(), "{name} is there twice");
        }
        Ok(all)
    }

    /// Starts one, and a network server for it.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(name: &str) -> Result<Self> {
        let logs = tempfile::tempdir()?;
        let programs = variable("HULY_BIN")?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut server = server_of(&programs, logs.path(), &address, &[])?;
        server.start().await?;
        let path = programs.join("examples").join(name);
        let mut child = Command::new(&path)
            .env("HULY_NETWORK", &address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(logs.path().join("errors"))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", path.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        Ok(Self {
            server,
            child,
            output: BufReader::new(output).lines(),
            printed: Vec::new(),
            logs,
        })
    }

    /// Waits until it has printed a line.
    ///
    /// # Errors
    /// When it ends before, or has not after 60 s.
    pub async fn prints(&mut self, line: &str) -> Result<()> {
        while let Some(printed) = self.line().await? {
            if printed == line {
                return Ok(());
            }
        }
        Err(self.failure(&format!("it did not print {line:?}")))
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).context("it has ended")?;
        Ok(kill_process(id, Signal::TERM)?)
    }

    /// Waits for its end; returns all that it printed.
    ///
    /// # Errors
    /// When it fails, or has not ended after 60 s.
    pub async fn end(&mut self) -> Result<Vec<String>> {
        while self.line().await?.is_some() {}
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.map_err(|_| self.failure("it did not end"))??;
        ensure!(
            status.success(),
            self.failure(&format!("it ended with {status}"))
        );
        Ok(std::mem::take(&mut self.printed))
    }

    async fn line(&mut self) -> Result<Option<String>> {
        let line = timeout(PATIENCE, self.output.next_line()).await;
        let line = line.map_err(|_| self.failure("it prints nothing more"))??;
        self.printed.extend(line.clone());
        Ok(line)
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        let errors = fs::read_to_string(self.logs.path().join("errors")).unwrap_or_default();
        anyhow::anyhow!("{what}; it printed {:?}\n{errors}", self.printed)
    }
}

//! A program of a network that is broken on purpose.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::timeout;

use super::tied;

/// How long a program may take to end in order: agents give their containers 50 s.
const END: Duration = Duration::from_secs(60);

/// A program that can be started, frozen, killed and started again. It is killed when it is dropped,
/// and when this process is gone.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet. It logs to `NAME.log` in a folder.
    pub(crate) fn new(name: String, program: &Path, arguments: Vec<String>, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        Self {
            name,
            program: program.to_owned(),
            arguments,
            log,
            child: None,
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = File::options().append(true).create(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        // What is set for other networks must not reach this one.
        let foreign = |(name, _): (OsString, _)| {
            let text = name.to_string_lossy();
            text.starts_with("HULY_").then_some(name)
        };
        let mut command = tied::command(&self.program);
        for name in std::env::vars_os().filter_map(foreign) {
            command.env_remove(name);
        }
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for us: we end them.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Says why it ended, if it did by itself.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        if self.child.is_none() {
            bail!("{} does not run", self.name);
        }
        match self.died()? {
            Some(died) => bail!(died),
            None => Ok(()),
        }
    }

    /// How it ended, if it did though nobody ended it here.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn died(&mut self) -> Result<Option<String>> {
        let status = self.child.as_mut().map(Child::try_wait).transpose()?;
        let status = status.flatten();
        Ok(status.map(|status| self.ended_with(status)))
    }

    fn ended_with(&self, status: ExitStatus) -> String {
        format!("{} ended with {status}: {}", self.name, self.last_words())
    }

    /// Ends it at once (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.still_runs()?;
        if let Some(mut child) = self.child.take() {
            let killed = child.kill().await;
            killed.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Errors
    /// When it does not run, takes too long or says that it failed.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        if let Some(mut child) = self.child.take() {
            let ended = timeout(END, child.wait()).await;
            let status = ended.with_context(|| format!("{} does not end", self.name))??;
            if !status.success() {
                bail!(self.ended_with(status));
            }
        }
        Ok(())
    }

    /// Stops its threads (SIGSTOP); its connections stay open.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.still_runs()?;
        let id = self.child.as_ref().and_then(Child::id);
        let pid = id.and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.with_context(|| format!("{} does not run", self.name))?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().next_back();
        last.map_or_else(
            || "it said nothing".to_owned(),
            |last| format!("the last that it said was: {last}"),
        )
    }
}

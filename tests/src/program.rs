//! One program of the workspace as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::freeze::stop;
use crate::http;
use crate::metrics::Metrics;

/// How long a program may take to be ready: many of them share two cores.
const READY: Duration = Duration::from_secs(30);

/// How long a program may take to end after SIGTERM.
const END: Duration = Duration::from_secs(20);

/// How often a program that starts is asked whether it is ready.
const ASK: Duration = Duration::from_millis(20);

/// A program that can be started, frozen, thawed, killed and started again. Dropped, it is killed.
#[derive(Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, PathBuf)>,
    /// The port of /metrics and /readyz.
    http: u16,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    pub(crate) fn new(
        name: &str,
        path: PathBuf,
        logs: &Path,
        http: u16,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            path,
            arguments,
            variables: Vec::new(),
            http,
            log: logs.join(format!("{name}.log")),
            child: None,
        }
    }

    /// Starts it with a variable, in place of one of that name.
    #[must_use]
    pub fn variable(mut self, name: &str, value: PathBuf) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value));
        self
    }

    /// What is started from now on.
    pub(crate) fn replace(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it runs already, ends, or is not ready within 30 s.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.await_ready().await
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().append(true).create(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HULY_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready within 30 s: with what it waits for.
    pub async fn await_ready(&mut self) -> Result<()> {
        let end = Instant::now() + READY;
        loop {
            let child = self.child.as_mut();
            let child = child.with_context(|| format!("{} was not started", self.name))?;
            if let Some(status) = child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_lines());
            }
            let seen = match self.page("/readyz").await {
                Ok((200, _)) => return Ok(()),
                Ok((status, body)) => format!("{status}: {}", body.trim()),
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                Instant::now() < end,
                "{} was not ready within {READY:?}: {seen}; {}",
                self.name,
                self.last_lines()
            );
            sleep(ASK).await;
        }
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.take()?;
        child
            .kill()
            .await
            .with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to end (SIGTERM), waits until it has, and expects it to say that all went well.
    ///
    /// # Errors
    /// When it does not run, does not end within 20 s, or ends with another status than 0.
    pub async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let mut child = self.take()?;
        let status = timeout(END, child.wait())
            .await
            .with_context(|| format!("{} did not end within {END:?}", self.name))??;
        ensure!(
            status.success(),
            "{} ended with {status}: {}",
            self.name,
            self.last_lines()
        );
        Ok(())
    }

    /// Stops its every thread (SIGSTOP); its connections stay open.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn freeze(&self) -> Result<()> {
        let stopped = stop(self.pid()?).await;
        stopped.with_context(|| format!("cannot stop {}", self.name))
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Status and body of its answer to a path, `/readyz`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn page(&self, path: &str) -> Result<(u16, String)> {
        http::get(&format!("127.0.0.1:{}", self.http), path).await
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.http)
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When it does not answer with metrics.
    pub async fn metrics(&self) -> Result<Metrics> {
        let (status, body) = self.page("/metrics").await?;
        ensure!(status == 200, "{}: /metrics answers {status}", self.name);
        Metrics::parse(&body)
    }

    /// How many bytes of memory it occupies.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid()?.as_raw_nonzero());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.with_context(|| path)?.parse()?;
        Ok(kilobytes * 1024)
    }

    fn pid(&self) -> Result<Pid> {
        let child = self.child.as_ref().and_then(Child::id);
        child
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .with_context(|| format!("{} does not run", self.name))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    fn take(&mut self) -> Result<Child> {
        let child = self.child.take();
        child.with_context(|| format!("{} does not run", self.name))
    }

    /// The end of its log.
    fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        format!("its log ends with\n{}", last.join("\n"))
    }
}

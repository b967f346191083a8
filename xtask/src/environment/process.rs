//! Telling a process from a later one with the same pid, and ending it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// How often the end of a process that is not a child is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// A process that is still the one that was started: pids are used again, start times are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// When the system says it started, as an opaque text.
    pub(crate) started: String,
}

impl Identity {
    /// The process that has this pid now, if any.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        system::look(pid).map(|found| Self {
            pid,
            started: found.started,
        })
    }

    /// Whether it still runs. A process that ended and waits for its parent to notice does not.
    pub(crate) fn is_alive(&self) -> bool {
        system::look(self.pid).is_some_and(|found| found.started == self.started && !found.ended)
    }

    /// Sends it a signal. Does nothing to another process with its pid.
    ///
    /// # Errors
    /// When the system refuses; a process that is gone is no error.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let pid = Pid::from_raw(self.pid.cast_signed()).context("0 is no process")?;
        match kill_process(pid, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot signal process {}", self.pid)),
        }
    }

    /// Asks it to end, waits for it, and ends it by force when its patience is over.
    ///
    /// # Errors
    /// When it may not be signalled, or survives.
    pub(crate) async fn end(&self, patience: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        // One that is stopped acts on a request to end only once it goes on.
        self.signal(Signal::CONT)?;
        if self.is_gone_within(patience).await {
            return Ok(());
        }
        self.kill().await
    }

    /// Ends it by force and waits until it is gone.
    ///
    /// # Errors
    /// When it may not be signalled, or survives.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        if !self.is_gone_within(Duration::from_secs(30)).await {
            bail!("process {} survives SIGKILL", self.pid);
        }
        Ok(())
    }

    async fn is_gone_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

/// What the system says of a process.
struct Found {
    started: String,
    ended: bool,
}

#[cfg(target_os = "linux")]
mod system {
    use super::Found;

    /// Reads /proc: the start is counted in ticks since the boot, so the boot belongs to it.
    pub(super) fn look(pid: u32) -> Option<Found> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, ticks) = parse(&stat)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Some(Found {
            started: format!("{}/{ticks}", boot.trim()),
            ended: matches!(state, 'Z' | 'X' | 'x'),
        })
    }

    /// The state (field 3) and the start (field 22); the name before them may hold anything.
    pub(super) fn parse(stat: &str) -> Option<(char, u64)> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let ticks = fields.nth(18)?.parse().ok()?;
        Some((state, ticks))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Found;

    pub(super) fn look(pid: u32) -> Option<Found> {
        let said = std::process::Command::new("ps")
            .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let (state, started) = said.split_once(char::is_whitespace)?;
        Some(Found {
            started: started.trim().to_owned(),
            ended: state.starts_with('Z'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = "42 (a) Z 1 (b)) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 2";
        assert_eq!(system::parse(stat), Some(('S', 98765)));
        assert_eq!(system::parse("no process"), None);
    }

    #[tokio::test]
    async fn a_process_is_ended_and_told_from_a_later_one() {
        let mut child = tokio::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let identity = Identity::of(child.id().unwrap()).unwrap();
        assert!(identity.is_alive());
        let other = Identity {
            started: "another time".to_owned(),
            ..identity.clone()
        };
        assert!(!other.is_alive());
        other.kill().await.unwrap();
        assert!(
            identity.is_alive(),
            "a process with another start was signalled"
        );
        identity.end(Duration::from_secs(10)).await.unwrap();
        assert!(!identity.is_alive());
        child.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_stopped_process_is_ended_too() {
        let mut child = tokio::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let identity = Identity::of(child.id().unwrap()).unwrap();
        identity.signal(Signal::STOP).unwrap();
        identity.end(Duration::from_secs(10)).await.unwrap();
        let status = child.wait().await.unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15)
        );
    }
}

//! Stopping a process with all its threads.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually::eventually;

/// Stops a process (SIGSTOP) and waits until none of its threads runs: the system stops the
/// others only when the thread that it hands the signal to gets a turn.
///
/// # Errors
/// When there is no such process, or it is not stopped within 10 s.
pub(crate) async fn stop(pid: Pid) -> Result<()> {
    kill_process(pid, Signal::STOP)?;
    eventually(
        Duration::from_secs(10),
        "every thread is stopped",
        async || {
            let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
            for thread in fs::read_dir(&threads).context(threads)? {
                let stat = fs::read_to_string(thread?.path().join("stat"))?;
                // The state follows the name, which may contain anything, in parentheses.
                let state = stat
                    .rsplit(") ")
                    .next()
                    .and_then(|rest| rest.chars().next());
                ensure!(state == Some('T'), "{stat}");
            }
            Ok(())
        },
    )
    .await
}

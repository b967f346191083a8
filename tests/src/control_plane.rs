//! The processes of the control plane that all tests share.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::freeze::stop;
use crate::settings::variable;

/// What `cargo xtask test` wrote down about the control plane.
#[derive(Debug, Deserialize)]
pub struct ControlPlane {
    processes: Vec<Recorded>,
}

#[derive(Debug, Deserialize)]
struct Recorded {
    name: String,
    pid: i32,
}

/// The API server, stopped. It goes on when this is dropped, whatever a test came to.
#[derive(Debug)]
pub struct Stopped(Pid);

impl ControlPlane {
    /// # Errors
    /// When the tests were started by other means than `cargo xtask test cluster`.
    pub fn read() -> Result<Self> {
        let file = variable("HULY_TEST_CONTROL_PLANE")?;
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", file.display()))
    }

    /// Stops the API server (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn stop_api_server(&self) -> Result<Stopped> {
        let recorded = self
            .processes
            .iter()
            .find(|process| process.name == "kube-apiserver");
        let pid = recorded
            .and_then(|process| Pid::from_raw(process.pid))
            .context("no kube-apiserver is written down")?;
        let stopped = Stopped(pid);
        stop(pid).await.context("cannot stop the API server")?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // If it is gone, every later test says so.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

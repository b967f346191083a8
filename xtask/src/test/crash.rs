//! What `cargo xtask up` leaves when it is ended by force, half-way.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::by_hand::this;
use super::machine::Machine;
use crate::command::Running;
use crate::environment::State;
use crate::files;
use crate::workspace::Workspace;

/// How often what `up` has started is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Starts a cluster with two nodes by `cargo xtask up`, and ends that with SIGKILL once it has
/// started this process of its environment. Returns a look at what that left.
///
/// # Errors
/// When it does not come that far, or leaves nothing.
pub(super) async fn crash(workspace: &Workspace, name: &str, process: &str) -> Result<Machine> {
    let folder = workspace.environments().join(name);
    let output = tempfile::tempfile().context("cannot make a temporary file")?;
    let [first, second] = [output.try_clone(), output.try_clone()];
    let up = this(workspace, ["up", "--nodes", "2", "--name", name]);
    let child = up.spawn(
        first.context("cannot share a temporary file")?.into(),
        second.context("cannot share a temporary file")?.into(),
    )?;
    let mut running = Running::new(child);
    tokio::select! {
        status = running.wait() => {
            let status = status?;
            let said = files::read_from_start(output)?;
            bail!("up ended by itself ({status}) before {process} was started:\n{said}")
        }
        started = until_started(&folder, process) => started?,
    }
    running.kill().await?;
    let left = Machine::look(&folder)?;
    if !left.has_place() {
        bail!("up was ended when it had started {process}, and left no place taken");
    }
    Ok(left)
}

async fn until_started(environment: &Path, process: &str) -> Result<()> {
    loop {
        let state = State::read(environment)?;
        if state.is_some_and(|state| state.process(process).is_ok()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

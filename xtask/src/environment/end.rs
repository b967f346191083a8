//! The end of environments, also of those that other runs started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::state::{self, State};
use super::{control_plane, nodes};
use crate::files::{self, Lock};
use crate::report::show;
use crate::workspace::Workspace;

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The names of the environments with a folder, or with nodes though it is gone; in order.
pub(crate) fn names(workspace: &Workspace) -> Vec<String> {
    let environments = workspace.environments();
    let mut names = nodes::placed(&environments);
    names.extend(state::names(&environments));
    names.into_iter().collect()
}

/// Ends an environment that an earlier run left or started; false if there is none. Its logs stay
/// until the next environment of its name.
///
/// # Errors
/// When another run works on it, or a process cannot be ended.
pub(crate) async fn down(workspace: &Workspace, name: &str) -> Result<bool> {
    let environments = workspace.environments();
    let folder = environments.join(name);
    if !folder.exists() {
        if !nodes::placed(&environments).contains(name) {
            return Ok(false);
        }
        show(&format!(
            "{0} is gone, and with it what its control plane runs as: its nodes are ended; \
             `pgrep -af {0}/` finds the rest",
            folder.display()
        ));
    }
    let Some(_lock) = Lock::try_take(&lock_path(&environments, name))? else {
        bail!("{}", in_use(name));
    };
    clear(&folder).await?;
    Ok(true)
}

/// Waits until no other run works on an environment: one that was cut off takes down what it began.
///
/// # Errors
/// When one still does when its patience is over, or nobody can work on it.
pub(crate) async fn until_unused(workspace: &Workspace, name: &str) -> Result<()> {
    let path = lock_path(&workspace.environments(), name);
    let lock = tokio::time::timeout(nodes::PATIENCE, Lock::take(&path, || ())).await;
    lock.with_context(|| in_use(name))?.map(drop)
}

/// That another run works on an environment, for messages.
pub(super) fn in_use(name: &str) -> String {
    format!(
        "the environment {name} is in use by another run of cargo xtask: to end that one, press \
         Ctrl-C in its terminal"
    )
}

/// Whose lock a run has that works on an environment.
pub(super) fn lock_path(environments: &Path, name: &str) -> PathBuf {
    environments.join(format!(".{name}.lock"))
}

/// Ends every process and node of an environment, and removes its folder.
///
/// # Errors
/// When one survives, or the folder does.
pub(super) async fn clear(folder: &Path) -> Result<()> {
    nodes::end(folder).await?;
    end_processes(folder).await?;
    nodes::clear(folder).await?;
    files::remove_folder(folder)
}

/// Ends the processes that are written down, the last started first, so that none of them sees
/// the loss of what it depends on.
async fn end_processes(folder: &Path) -> Result<()> {
    let Some(state) = State::read(folder)? else {
        return Ok(());
    };
    for process in state.processes.iter().rev() {
        // Nothing of the control plane is kept, and an API server takes long over an orderly end.
        let name = process.name.as_str();
        let ended = if control_plane::PROGRAMS.contains(&name) || nodes::is_of_node(name) {
            process.identity.kill().await
        } else {
            process.identity.end(PATIENCE).await
        };
        ended.with_context(|| format!("cannot end {}", process.name))?;
    }
    Ok(())
}

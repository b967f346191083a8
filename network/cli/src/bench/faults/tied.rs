//! A program that ends with the one that started it, also where that is killed.
//!
//! Linux kills a process with its parent if the process itself has asked for that, whatever program
//! it is by then. So this program is started once more, asks, and becomes the other one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;

use anyhow::{Error, anyhow};
use tokio::process::Command;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The process that it ends with.
    #[arg(long)]
    parent: u32,
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// A command that starts a program that ends with this process; where there is no Linux, with this
/// process's own end alone.
pub(crate) fn command(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("/proc/self/exe");
    let parent = std::process::id().to_string();
    command.args(["bench", "tied", "--parent", &parent, "--"]);
    command.arg(program);
    command
}

/// Becomes the program; returns why that failed.
pub(crate) fn run(arguments: &Arguments) -> Error {
    let [program, rest @ ..] = &arguments.command[..] else {
        return anyhow!("no program was named");
    };
    if let Err(error) = end_with(arguments.parent) {
        return error;
    }
    let error = std::process::Command::new(program).args(rest).exec();
    Error::new(error).context(format!("cannot start {}", program.display()))
}

#[cfg(target_os = "linux")]
fn end_with(parent: u32) -> anyhow::Result<()> {
    use anyhow::{Context, ensure};
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let asked = set_parent_process_death_signal(Some(Signal::KILL));
    asked.context("cannot ask to end with the parent")?;
    // It may have died before that.
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    ensure!(now == Some(parent), "process {parent} is gone");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end_with(_: u32) -> anyhow::Result<()> {
    Ok(())
}

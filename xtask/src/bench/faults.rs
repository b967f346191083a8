//! `bench faults`: `huly bench faults` with optimized programs.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::{cores, load_average};
use crate::command::{self, Program};
use crate::interrupt::interruptible;
use crate::workspace::Workspace;

/// The packages whose programs are run.
const PACKAGES: [&str; 3] = ["huly", "huly-network", "huly-agent-stock"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// What `huly bench faults` takes; `-- --help` says it
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds the programs, has a network of theirs broken, and says on what machine.
///
/// # Errors
/// When a program cannot be built, or a promise was broken.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let packages = PACKAGES.iter().flat_map(|name| ["--package", name]);
    let build = Program::cargo()
        .arguments(["build", "--release", "--bins"])
        .arguments(packages)
        .folder(&workspace.root);
    let huly = Program::new(workspace.target.join("release/huly"))
        .arguments(["bench", "faults"])
        .arguments(&arguments.arguments);
    interruptible(async {
        command::stream(build).await?;
        let before = load_average()?;
        command::stream(huly).await?;
        let cores = cores()?;
        println!("\nOn {cores} cores; the machine's load average was {before} before.");
        Ok(())
    })
    .await
}

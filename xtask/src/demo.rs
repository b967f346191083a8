//! `demo`: the story of a claim that lives through failures, told on real programs.

mod cluster_view;
mod network_view;
mod story;

use anyhow::Result;
use clap::Args;

use crate::environment::Environment;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::interrupt::{self, interruptible, nothing_started};
use crate::prerequisites::{self, CONTROL_PLANE, may_install};
use crate::report::step;
use crate::up::{how_to_look, write_shell_file};
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    /// End everything after the story instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Install what is missing on this machine
    #[arg(long)]
    install: bool,
}

/// Builds and starts everything, tells the story, and ends everything.
///
/// # Errors
/// When a step of the story did not happen.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let build_log = workspace.cache.join("logs/demo-build.log");
    let (go, huly) = interruptible(async {
        prerequisites::ensure(workspace, CONTROL_PLANE, may_install(arguments.install)).await?;
        let go = GoPrograms::build(workspace).await?;
        let huly = HulyPrograms::build_logged(workspace, &build_log).await?;
        Ok((go, huly))
    })
    .await
    .map_err(nothing_started)?;
    let mut environment = Environment::create_unused(workspace, "demo").await?;
    let logs = environment.logs.clone();
    let told = tell(workspace, &mut environment, &go, &huly, arguments.once).await;
    let down = step("End everything", environment.take_down()).await;
    println!("The logs are in {}", logs.display());
    told.and(down)
}

async fn tell(
    workspace: &Workspace,
    environment: &mut Environment,
    go: &GoPrograms,
    huly: &HulyPrograms,
    once: bool,
) -> Result<()> {
    interruptible(story::tell(workspace, environment, go, huly)).await?;
    if once {
        return Ok(());
    }
    let shell = write_shell_file(workspace, environment, go, None)?;
    println!(
        "\n{}\nEverything stays up until Ctrl-C.",
        how_to_look(environment, &shell)
    );
    interrupt::requested().await
}

//! `bench`: what the programs do and need, measured. No part of the tests: a machine that is busy
//! with other things measures those.

mod resources;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Memory and CPU that server, agents and operator need, and what the chart should request
    Resources(resources::Arguments),
}

/// Runs a benchmark and prints what it measured.
///
/// # Errors
/// When it cannot be run to its end.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.benchmark {
        Benchmark::Resources(arguments) => resources::run(workspace, arguments).await,
    }
}

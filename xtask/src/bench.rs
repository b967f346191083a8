//! `bench`: what the programs do and need, measured. No part of the tests: a machine that is busy
//! with other things measures those.

mod faults;
mod resources;

use std::fs;

use anyhow::{Context, Result};
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
    /// What becomes of each request while a network is broken in many ways
    Faults(faults::Arguments),
}

/// Runs a benchmark and prints what it measured.
///
/// # Errors
/// When it cannot be run to its end.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.benchmark {
        Benchmark::Resources(arguments) => resources::run(workspace, arguments).await,
        Benchmark::Faults(arguments) => faults::run(workspace, arguments).await,
    }
}

/// How many cores there are to measure on.
fn cores() -> Result<usize> {
    let cores = std::thread::available_parallelism().context("cannot count the cores")?;
    Ok(cores.get())
}

/// How many processes ran or wanted to, on average of the last minute.
fn load_average() -> Result<String> {
    let said = fs::read_to_string("/proc/loadavg")
        .context("only Linux says in /proc what programs use: cannot read /proc/loadavg")?;
    let average = said.split_whitespace().next();
    Ok(average.unwrap_or_default().to_owned())
}

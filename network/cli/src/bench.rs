//! bench: what a network does under a load, measured.

mod faults;

use clap::Subcommand;

use crate::args::Output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Clone, Subcommand)]
enum Benchmark {
    /// Load a network of its own, break it in many ways, and count what becomes of each request.
    ///
    /// It starts a network server and agents on this machine, whatever --network says, and ends
    /// them. Exits with 1 when something that is promised was broken.
    Faults(faults::Arguments),
}

/// Runs a benchmark and prints what it measured.
///
/// # Errors
/// When it cannot be run to its end, or a promise was broken.
pub(crate) async fn run(bench: &Bench, output: Output) -> anyhow::Result<()> {
    match &bench.benchmark {
        Benchmark::Faults(arguments) => faults::run(arguments, output).await,
    }
}

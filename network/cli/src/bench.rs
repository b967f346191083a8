//! bench: what a network does under a load, measured.

mod faults;

use clap::Subcommand;
use huly_program::Shutdown;

use self::faults::tied;
use crate::args::Output;

pub(crate) use self::faults::Broken;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Clone, Subcommand)]
enum Benchmark {
    /// Load a network of its own, break it in many ways, and count what becomes of each request.
    ///
    /// It starts a network server and agents of its own on this machine, and ends them.
    ///
    /// Exits with 4 when an increment ran twice in one life of a counter, or was answered and is not
    /// there, of counters that one client alone counts up; when a request has no end 5 s after its
    /// deadline, or fails with an error that says neither that it did not run nor that it may have;
    /// when one fails while nothing goes wrong, or one through the server may have run while agents
    /// end in order; when not all clients were answered again 90 s after a fault's last deed; or when a
    /// reference is left 10 s after all clients have gone. With 1 when it cannot be run to its end and
    /// no promise was broken until then: it prints what became of the requests of the faults that were
    /// over.
    Faults(faults::Arguments),
    /// Become a program that ends with its parent: how those of a benchmark are started.
    #[command(hide = true)]
    Tied(tied::Arguments),
}

/// Runs a benchmark and prints what it measured.
///
/// # Errors
/// When it cannot be run to its end, or a promise was broken ([`Broken`]).
pub(crate) async fn run(
    bench: &Bench,
    output: Output,
    shutdown: &mut Shutdown,
) -> anyhow::Result<()> {
    match &bench.benchmark {
        Benchmark::Faults(arguments) => faults::run(arguments, output, shutdown).await,
        Benchmark::Tied(tied) => Err(tied::run(tied)),
    }
}

//! Build, test, run and demonstrate the Huly network: `cargo xtask`.

#[macro_use]
mod print;

mod bench;
mod build;
mod cache;
mod command;
mod demo;
mod environment;
mod files;
mod generate;
mod go_programs;
mod huly_programs;
mod images;
mod interrupt;
mod node;
mod prerequisites;
mod report;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, test, run and demonstrate the Huly network.
///
/// Built programs, tools and running environments live in the cache: ~/.cache/huly-network, or the
/// folder that HULY_CACHE names.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start it and show a claim living through failures
    Demo(demo::Arguments),
    /// Check everything: format, lints, unit tests, conformance, tests on a real API server
    Test(test::Arguments),
    /// Start a Kubernetes control plane, the network server, two agents and the operator
    Up(up::UpArguments),
    /// Kill, start, cut off or mend a node of a cluster that `up --nodes` started
    Node(node::Arguments),
    /// What the first process of a node does
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    NodeInit(environment::nodes::init::Arguments),
    /// End what `up` started and remove its folder; its logs stay until the next `up`
    Down(up::DownArguments),
    /// Write the files that are generated from the source: definitions, parts of the chart
    Generate(generate::Arguments),
    /// Make container images of the programs, as archives that docker, containerd and others load
    Images(images::Arguments),
    /// Measure what the programs do and need
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(arguments.command));
    // A blocking wait (for a lock, for an answer) must not hold up an end that was asked for.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    #[cfg(target_os = "linux")]
    if let Command::NodeInit(arguments) = &command {
        return environment::nodes::init::run(arguments).await;
    }
    let workspace = Workspace::find().await?;
    match command {
        Command::Demo(arguments) => demo::run(&workspace, &arguments).await,
        Command::Test(arguments) => test::run(&workspace, &arguments).await,
        Command::Up(arguments) => up::up(&workspace, &arguments).await,
        Command::Node(arguments) => node::run(&workspace, &arguments).await,
        #[cfg(target_os = "linux")]
        Command::NodeInit(arguments) => environment::nodes::init::run(&arguments).await,
        Command::Down(arguments) => up::down(&workspace, &arguments).await,
        Command::Generate(arguments) => generate::run(&workspace, &arguments).await,
        Command::Images(arguments) => images::run(&workspace, &arguments).await,
        Command::Bench(arguments) => bench::run(&workspace, &arguments).await,
    }
}

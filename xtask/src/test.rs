//! `test`: every check, in order, each with its time.

mod by_hand;
mod cluster;
mod crash;
mod deny;
mod examples;
mod images;
mod machine;
mod nodes;
mod previous;
mod python;
mod skew;
mod table;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::table::{Outcome, Table};
use crate::command::{self, Program};
use crate::generate;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::interrupt::{Interrupted, interruptible};
use crate::prerequisites::{self, may_install};
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run only these parts, in their own order (default: all)
    parts: Vec<Part>,
    /// Name the parts and end
    #[arg(long)]
    list: bool,
    /// Go on with the other parts after one has failed
    #[arg(long)]
    keep_going: bool,
    /// Install what is missing on this machine
    #[arg(long)]
    install: bool,
    /// Of the parts cluster and nodes, run only this file of tests/tests, without its `.rs`; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,
    /// Of the part skew, the revision that stands for the previous release
    #[arg(long, value_name = "REVISION")]
    previous: Option<String>,
    /// Of the part simulation, the seeds that are run, the last one excluded
    #[arg(long, value_name = "A..B", default_value = "0..1000")]
    seeds: String,
}

/// A part of the tests. The order here is the order that they run in: the quick ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything that the tests need is on this machine
    Prerequisites,
    /// Every file is formatted
    Format,
    /// Clippy finds nothing
    Lints,
    /// The programs build
    Build,
    /// Unit tests, and property tests of fixed sequences
    Unit,
    /// The cores in a simulated network, through faults by fixed seeds: every law holds
    Simulation,
    /// The documentation of the crates builds without warnings
    Docs,
    /// Generated files are what the source makes
    Generated,
    /// Licences, sources, banned crates, known vulnerabilities
    Deny,
    /// Peers in Python on libzmq against the programs
    Python,
    /// The programs of examples/tour print what docs/examples.md says
    Examples,
    /// The previous release's programs work with the present ones
    Skew,
    /// The images are small, packed alike twice, made by buildah too, and what is in them runs
    Images,
    /// The Kubernetes programs build
    ControlPlane,
    /// Tests on a real API server
    Cluster,
    /// Tests on a real cluster with nodes
    Nodes,
}

/// What a part came to, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Passed {
    Fully,
    /// Something of it could not be checked here, and why.
    Partly(String),
}

/// Runs the parts and prints a table of their times.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        print!("{}", list());
        return Ok(());
    }
    workspace.keep_target()?;
    let mut table = Table::default();
    let mut failed = Vec::new();
    for part in selected(&arguments.parts) {
        if !failed.is_empty() && !arguments.keep_going {
            table.add(part.name(), Outcome::NotRun, None);
            continue;
        }
        println!("\n=== {} ===", part.name());
        let started = Instant::now();
        let outcome = part.run(workspace, arguments).await;
        let took = Some(started.elapsed());
        match outcome {
            Ok(Passed::Fully) => table.add(part.name(), Outcome::Passed, took),
            Ok(Passed::Partly(reason)) => {
                eprintln!(
                    "warning: {}: not everything was checked: {reason}",
                    part.name()
                );
                table.add(part.name(), Outcome::Partly(reason), took);
            }
            Err(error) => {
                eprintln!("error: {}: {error:#}", part.name());
                table.add(part.name(), Outcome::Failed, took);
                failed.push(part.name());
                if error.is::<Interrupted>() {
                    break;
                }
            }
        }
    }
    println!("\n{table}");
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The parts to run: all, or the named ones, in their own order.
fn selected(named: &[Part]) -> impl Iterator<Item = Part> {
    let all = Part::value_variants().iter().copied();
    all.filter(move |part| named.is_empty() || named.contains(part))
}

fn list() -> String {
    Part::value_variants()
        .iter()
        .filter_map(|part| {
            let value = part.to_possible_value()?;
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            Some(format!("{:<14} {help}\n", value.get_name()))
        })
        .collect()
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    async fn run(self, workspace: &Workspace, arguments: &Arguments) -> Result<Passed> {
        let install = may_install(arguments.install);
        match self {
            // The parts that have something to take down look after signals themselves.
            Self::Cluster => cluster::run(workspace, &arguments.file)
                .await
                .map(|()| Passed::Fully),
            Self::Nodes => nodes::run(workspace, &arguments.file, install).await,
            Self::Skew => interruptible(skew::run(workspace, arguments.previous.as_deref())).await,
            Self::Simulation => {
                let seeds = &arguments.seeds;
                interruptible(simulation(workspace, seeds))
                    .await
                    .map(|()| Passed::Fully)
            }
            part => interruptible(part.check(workspace, install)).await,
        }
    }

    async fn check(self, workspace: &Workspace, install: bool) -> Result<Passed> {
        match self {
            Self::Prerequisites => {
                prerequisites::ensure(workspace, prerequisites::TESTS, install).await?;
            }
            Self::Format => cargo(workspace, &["fmt", "--all", "--check"]).await?,
            Self::Lints => {
                let clippy = [
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ];
                cargo(workspace, &clippy).await?;
            }
            Self::Build => {
                HulyPrograms::build(workspace).await?;
            }
            Self::Unit => {
                // The tour is nine programs to link and has no unit tests: see Examples. The
                // simulation is a part of its own.
                let excluded = ["huly-tests", "tour", "huly-simulation"];
                let mut test = vec!["test", "--workspace"];
                for package in excluded {
                    test.extend(["--exclude", package]);
                }
                let mut test = Program::cargo().arguments(test).folder(&workspace.root);
                // What a commit is judged by is the same each time: PROPTEST_CASES makes it more, and
                // another seed other ones.
                if std::env::var_os(PROPERTY_SEED).is_none() {
                    test = test.variable(PROPERTY_SEED, "0");
                }
                command::stream(test).await?;
            }
            Self::Docs => {
                let docs = Program::cargo()
                    .arguments(["doc", "--workspace", "--no-deps", "--lib"])
                    .arguments(["--features", "huly-agent/testing"])
                    .variable("RUSTDOCFLAGS", "-D warnings")
                    .folder(&workspace.root);
                command::stream(docs).await?;
            }
            Self::Generated => {
                HulyPrograms::build(workspace).await?;
                generate::check(workspace).await?;
            }
            Self::Deny => return deny::run(workspace).await,
            Self::Python => python::run(workspace).await?,
            Self::Examples => examples::run(workspace).await?,
            Self::Images => images::run(workspace).await?,
            Self::ControlPlane => {
                GoPrograms::build(workspace).await?;
            }
            Self::Simulation | Self::Cluster | Self::Nodes | Self::Skew => {}
        }
        Ok(Passed::Fully)
    }
}

/// Names the random numbers of which proptest makes its cases.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";
/// How long a thousand seeds of the simulation may take, in seconds.
const SIMULATION_CEILING: &str = "300";

/// Optimized: a thousand seeds are hours of a network's life.
async fn simulation(workspace: &Workspace, seeds: &str) -> Result<()> {
    let package = ["--release", "--package", "huly-simulation"];
    cargo(workspace, &[&["test"], &package[..]].concat()).await?;
    let told = ["--", "--seeds", seeds, "--ceiling", SIMULATION_CEILING];
    let run = [&["run"], &package[..], &told[..]].concat();
    cargo(workspace, &run).await
}

async fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    command::stream(
        Program::cargo()
            .arguments(arguments)
            .folder(&workspace.root),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_run_unless_some_are_named() {
        let all: Vec<Part> = selected(&[]).collect();
        assert_eq!(all, Part::value_variants());
        let some: Vec<Part> = selected(&[Part::Cluster, Part::Format]).collect();
        assert_eq!(some, [Part::Format, Part::Cluster]);
    }

    #[test]
    fn the_list_explains_every_part() {
        for line in list().lines() {
            assert!(line.split_whitespace().count() > 2, "{line}");
        }
        assert_eq!(list().lines().count(), Part::value_variants().len());
    }
}

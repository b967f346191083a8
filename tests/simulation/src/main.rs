//! Runs simulations: many seeds, or one with its story.

mod many;

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use huly_simulation::{LAWS, Sabotage, Telling, same_twice, simulate};

/// What it exits with.
const ENDS: &str = "\
Exits with 0 when no law is broken; with 1 when one is, when a law has nothing to judge in a thousand \
seeds and more, or when they take too long; with 2 for wrong usage. With --sabotage \
it is the other way round: 1 when no law is broken.";

/// Runs the simulation of a network: its real cores, faults made of a seed, laws.
///
/// A seed that breaks a law is named, with the command that tells its story.
#[derive(Parser)]
#[command(max_term_width = 100, after_help = ENDS)]
struct Arguments {
    /// Run this seed and tell its story
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Tell of each message too
    #[arg(long, requires = "seed")]
    messages: bool,
    /// Run these seeds, the last one excluded
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    seeds: Range<u64>,
    /// How many at once; as many as there are processors unless told
    #[arg(long, value_parser = jobs)]
    jobs: Option<usize>,
    /// Fail if a thousand of them take longer, in seconds; fewer may take as long
    #[arg(long, value_name = "SECONDS", conflicts_with = "seed")]
    ceiling: Option<u64>,
    /// Do something wrong on purpose: fails if no law notices
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Name the laws and end
    #[arg(long)]
    laws: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let read = || {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    read()
        .filter(|range| !range.is_empty())
        .ok_or_else(|| "two numbers, the first one lower: 0..1000".to_owned())
}

fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| *jobs > 0);
    jobs.ok_or_else(|| "a number from 1 on was expected".to_owned())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every law held; of what is done wrong on purpose, whether one noticed.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    if arguments.laws {
        let longest = LAWS.iter().map(|law| law.name.len()).max();
        let width = longest.unwrap_or_default();
        for law in LAWS {
            writeln!(out, "{:<width$}  {}", law.name, law.sentence)?;
        }
        return Ok(true);
    }
    match arguments.seed {
        Some(seed) => tell(seed, arguments, &mut out).context("cannot tell the story"),
        None => {
            let ceiling = arguments.ceiling.map(Duration::from_secs);
            many::run(
                &arguments.seeds,
                arguments.jobs,
                arguments.sabotage,
                ceiling,
            )
        }
    }
}

fn tell(seed: u64, arguments: &Arguments, out: &mut impl Write) -> io::Result<bool> {
    let telling = match arguments.messages {
        true => Telling::Messages,
        false => Telling::Deeds,
    };
    let outcome = simulate(seed, arguments.sabotage, telling);
    for line in outcome.opening.iter().chain(&outcome.story) {
        writeln!(out, "{line}")?;
    }
    // What is told of messages is hashed too.
    let hash = simulate(seed, arguments.sabotage, Telling::Silent).hash;
    let mut broken = outcome.violations;
    broken.extend(same_twice(seed, hash, arguments.sabotage));
    let executed = outcome.executed;
    writeln!(
        out,
        "seed {seed}: {executed} requests ran; hash of what happened {hash:016x}"
    )?;
    for broken in &broken {
        writeln!(out, "{broken}")?;
    }
    if broken.is_empty() {
        writeln!(out, "no law is broken")?;
    }
    many::is_right(!broken.is_empty(), arguments.sabotage, out)
}

//! Runs simulations: many seeds, or one with its story.

mod many;

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use huly_simulation::{LAWS, Sabotage, Telling, simulate};

/// Runs the simulation of a network: its real cores, faults made of a seed, laws.
///
/// A seed that breaks a law is named, with the command that tells its story.
#[derive(Parser)]
#[command(max_term_width = 100)]
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
    #[arg(long)]
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
    writeln!(
        out,
        "seed {seed}: {} requests ran; hash {:016x}",
        outcome.executed, outcome.hash
    )?;
    for broken in &outcome.violations {
        writeln!(out, "{broken}")?;
    }
    many::is_right(!outcome.violations.is_empty(), arguments.sabotage, out)
}

//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Context;
use huly_simulation::{Sabotage, Telling, Violation, same_twice, simulate};
use indicatif::{ProgressBar, ProgressStyle};

/// Every so many seeds one is run twice.
const TWICE: u64 = 20;
/// Seeds that are named for each law.
const NAMED: usize = 5;

/// Runs the seeds; returns whether every law held.
pub(crate) fn run(
    seeds: &Range<u64>,
    jobs: Option<usize>,
    sabotage: Option<Sabotage>,
) -> anyhow::Result<bool> {
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let count = seeds.end - seeds.start;
    let bar = ProgressBar::new(count).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {elapsed}, {eta} left {msg}")
            .context("the progress bar's template")?,
    );
    let started = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let ran = AtomicU64::new(0);
    let broken: Mutex<BTreeMap<u64, Vec<Violation>>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = simulate(seed, sabotage, Telling::Silent);
                    ran.fetch_add(outcome.executed as u64, Ordering::Relaxed);
                    let mut violations = outcome.violations;
                    if seed.is_multiple_of(TWICE) {
                        violations.extend(same_twice(seed, outcome.hash, sabotage));
                    }
                    if !violations.is_empty() {
                        let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                        broken.insert(seed, violations);
                        bar.set_message(format!("({} broke a law)", broken.len()));
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (took, ran) = (started.elapsed().as_secs_f64(), ran.into_inner());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{count} seeds in {took:.1} s, {ran} requests ran, {} seeds broke a law",
        broken.len()
    )?;
    report(&broken, sabotage, &mut out)?;
    Ok(broken.is_empty())
}

fn report(
    broken: &BTreeMap<u64, Vec<Violation>>,
    sabotage: Option<Sabotage>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut by_law: BTreeMap<&str, Vec<(u64, &Violation)>> = BTreeMap::new();
    for (seed, violations) in broken {
        for violation in violations {
            let all = by_law.entry(violation.law).or_default();
            all.push((*seed, violation));
        }
    }
    for (law, all) in &by_law {
        writeln!(out, "{law}: broken by {} seeds", all.len())?;
        for (seed, violation) in all.iter().take(NAMED) {
            writeln!(out, "  seed {seed}: {violation}")?;
        }
    }
    if let (Some(seed), None) = (broken.keys().next(), sabotage) {
        writeln!(
            out,
            "its story: cargo run --release -p huly-simulation -- --seed {seed}"
        )?;
    }
    Ok(())
}

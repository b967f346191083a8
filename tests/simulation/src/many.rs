//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use huly_simulation::{LAWS, Outcome, SAME, Sabotage, Telling, Violation, same_twice, simulate};
use indicatif::{ProgressBar, ProgressStyle};

/// Every so many seeds one is run twice.
const TWICE: u64 = 20;
/// Seeds that are named for each law.
const NAMED: usize = 5;
/// Within so many seeds each law has something to judge, or it is worth nothing.
const ENOUGH: u64 = 1_000;

/// What came of all seeds.
#[derive(Debug, Default)]
struct All {
    /// Requests that containers began with.
    ran: u64,
    /// How often each law had something to judge.
    judged: BTreeMap<&'static str, u64>,
    broken: BTreeMap<u64, Vec<Violation>>,
}

/// Runs the seeds; returns whether every law held and had something to judge, and a thousand of them
/// took no longer than the ceiling.
pub(crate) fn run(
    seeds: &Range<u64>,
    jobs: Option<usize>,
    sabotage: Option<Sabotage>,
    ceiling: Option<Duration>,
) -> anyhow::Result<bool> {
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let count = seeds.end - seeds.start;
    let bar = ProgressBar::new(count).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {elapsed}, {eta} left {msg}")
            .context("the progress bar's template")?,
    );
    let started = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let all: Mutex<All> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = simulate(seed, sabotage, Telling::Silent);
                    let twice = seed
                        .is_multiple_of(TWICE)
                        .then(|| same_twice(seed, outcome.hash, sabotage));
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.take(seed, outcome, twice);
                    if !all.broken.is_empty() {
                        bar.set_message(format!("({} broke a law)", all.broken.len()));
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let took = started.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{count} seeds in {took:.1} s, {} requests ran, {} seeds broke a law",
        all.ran,
        all.broken.len()
    )?;
    report(&all.broken, sabotage, &mut out)?;
    let idle: Vec<&str> = LAWS
        .iter()
        .map(|law| law.name)
        .filter(|law| !all.judged.contains_key(law))
        .collect();
    if !idle.is_empty() {
        writeln!(out, "nothing to judge for {}", idle.join(", "))?;
    }
    let thousands = (count as f64 / ENOUGH as f64).max(1.0);
    let most = ceiling.map(|ceiling| ceiling.as_secs_f64() * thousands);
    let late = most.filter(|most| took > *most);
    if let Some(most) = late {
        writeln!(out, "they may take {most:.1} s at most")?;
    }
    let meaningful = all.ran > 0 && (idle.is_empty() || count < ENOUGH);
    Ok(all.broken.is_empty() && meaningful && late.is_none())
}

impl All {
    fn take(&mut self, seed: u64, outcome: Outcome, twice: Option<Option<Violation>>) {
        self.ran += outcome.executed as u64;
        for (law, times) in outcome.judged {
            *self.judged.entry(law).or_default() += times;
        }
        let mut violations = outcome.violations;
        if let Some(twice) = twice {
            *self.judged.entry(SAME).or_default() += 1;
            violations.extend(twice);
        }
        if !violations.is_empty() {
            self.broken.insert(seed, violations);
        }
    }
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

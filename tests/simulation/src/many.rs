//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use huly_simulation::{LAWS, Outcome, SAME, Sabotage, Telling, Violation, same_twice, simulate};
use indicatif::{ProgressBar, ProgressStyle};

/// Every so many seeds one is run twice.
const TWICE: u64 = 20;
/// Seeds that are named for each law.
const NAMED: usize = 5;
/// Within so many seeds each law has something to judge, or it is worth nothing.
const ENOUGH: u64 = 1_000;
/// Lines of a story that are printed: the last ones before a law is broken.
const LINES: usize = 200;

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
    let right = is_right(!all.broken.is_empty(), sabotage, &mut out)?;
    Ok(right && meaningful && late.is_none())
}

/// Whether laws were broken exactly where something was done wrong on purpose; of that says whether
/// one noticed.
pub(crate) fn is_right(
    broken: bool,
    sabotage: Option<Sabotage>,
    out: &mut impl Write,
) -> io::Result<bool> {
    let Some(sabotage) = sabotage else {
        return Ok(!broken);
    };
    let noticed = if broken { "a law" } else { "no law" };
    writeln!(out, "{noticed} noticed {}", named(sabotage))?;
    Ok(broken)
}

/// What it is called on the command line.
fn named(sabotage: Sabotage) -> String {
    let named = sabotage.to_possible_value();
    named.map_or_else(String::new, |named| named.get_name().to_owned())
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
    let Some((seed, violations)) = broken.first_key_value() else {
        return Ok(());
    };
    let (opening, told) = story(*seed, violations, sabotage);
    for line in opening {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "the story of seed {seed}, its last {} lines until then:",
        told.len()
    )?;
    for line in told {
        writeln!(out, "{line}")?;
    }
    let with = sabotage.map(|sabotage| format!(" --sabotage {}", named(sabotage)));
    let with = with.unwrap_or_default();
    writeln!(
        out,
        "all of it: cargo run --release -p huly-simulation -- --seed {seed}{with}"
    )
}

/// What a seed is made of, and what happened before the first of its violations.
fn story(
    seed: u64,
    violations: &[Violation],
    sabotage: Option<Sabotage>,
) -> (Vec<String>, Vec<String>) {
    let told = simulate(seed, sabotage, Telling::Deeds);
    let (opening, mut lines) = (told.opening, told.story);
    let told = violations.iter().filter_map(|broken| {
        let words = format!("{} is broken: {}", broken.law, broken.what);
        lines.iter().position(|line| line.ends_with(&words))
    });
    // What two runs differ by is in neither.
    if let Some(first) = told.min() {
        lines.truncate(first + 1);
    }
    let last = lines.len().saturating_sub(LINES);
    (opening, lines.split_off(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_seed_prints_its_story_in_words() {
        let sabotage = Some(Sabotage::DoubleRequests);
        let broken: BTreeMap<u64, Vec<Violation>> = (0..20)
            .map(|seed| (seed, simulate(seed, sabotage, Telling::Silent).violations))
            .filter(|(_, violations)| !violations.is_empty())
            .collect();
        let (seed, violations) = broken.first_key_value().expect("a seed that breaks a law");
        let mut out = Vec::new();
        report(&broken, sabotage, &mut out).expect("room");
        let out = String::from_utf8(out).expect("words");
        let lines: Vec<&str> = out.lines().collect();
        let opening = format!("seed {seed}: a server, ");
        assert!(lines.iter().any(|line| line.starts_with(&opening)));
        let begin = format!("the story of seed {seed}, ");
        let begin = lines.iter().position(|line| line.starts_with(&begin));
        let told = &lines[begin.expect("the story") + 1..];
        let [story @ .., broken, command] = told else {
            panic!("nothing is told: {out}");
        };
        assert!(!story.is_empty() && told.len() <= LINES + 1);
        assert!(story.iter().any(|line| line.contains("request")));
        assert!(broken.contains(violations[0].law) && broken.ends_with(&violations[0].what));
        assert!(command.ends_with(&format!("--seed {seed} --sabotage double-requests")));
    }

    #[test]
    fn what_is_done_wrong_is_noticed_or_fails() {
        let mut out = Vec::new();
        let right = is_right(false, Some(Sabotage::NoLimits), &mut out).expect("room");
        assert!(!right);
        assert_eq!(out, b"no law noticed no-limits\n");
        out.clear();
        assert!(is_right(true, Some(Sabotage::NoLimits), &mut out).expect("room"));
        assert_eq!(out, b"a law noticed no-limits\n");
        out.clear();
        assert!(is_right(false, None, &mut out).expect("room"));
        assert!(!is_right(true, None, &mut out).expect("room"));
        assert!(out.is_empty());
    }
}

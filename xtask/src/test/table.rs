//! The table of times at the end of a test run.

use std::fmt;
use std::time::Duration;

use crate::report::seconds;

/// How a part ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Partly(String),
    Failed,
    NotRun,
}

/// One row per part.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<(String, Outcome, Option<Duration>)>,
}

impl Table {
    pub(super) fn add(&mut self, part: String, outcome: Outcome, took: Option<Duration>) {
        self.rows.push((part, outcome, took));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, outcome, took) in &self.rows {
            let outcome = match outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Partly(reason) => format!("passed in part: {reason}"),
                Outcome::Failed => "FAILED".to_owned(),
                Outcome::NotRun => "not run".to_owned(),
            };
            let took = took.map(seconds).unwrap_or_default();
            writeln!(formatter, "{part:<14} {took:>12}  {outcome}")?;
        }
        let total: Duration = self.rows.iter().filter_map(|(_, _, took)| *took).sum();
        write!(formatter, "{:<14} {:>12}", "total", seconds(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_each_part_and_the_total() {
        let mut table = Table::default();
        table.add(
            "format".to_owned(),
            Outcome::Passed,
            Some(Duration::from_millis(1_500)),
        );
        table.add(
            "unit".to_owned(),
            Outcome::Failed,
            Some(Duration::from_secs(61)),
        );
        table.add("cluster".to_owned(), Outcome::NotRun, None);
        let shown = table.to_string();
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["format", "1.5", "s", "passed"]);
        assert_eq!(lines[1], ["unit", "1", "min", "01", "s", "FAILED"]);
        assert_eq!(lines[2], ["cluster", "not", "run"]);
        assert_eq!(lines[3], ["total", "1", "min", "02", "s"]);
    }
}

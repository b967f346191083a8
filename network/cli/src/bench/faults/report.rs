//! What a run came to: a table, or JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::caller::Way;
use super::fault::Fault;
use super::tally::{Tally, millis};

/// What became of the requests of a part of the script.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    pub(crate) fault: Fault,
    #[serde(flatten)]
    pub(crate) all: Tally,
    /// From the last deed to the answers to what all clients asked after it.
    #[serde(rename = "allAnsweredAgainMs", serialize_with = "millis")]
    pub(crate) again: Duration,
    pub(crate) ways: BTreeMap<Way, Tally>,
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) agents: usize,
    pub(crate) clients: usize,
    /// Requests in a second, of all clients.
    pub(crate) rate: u32,
    pub(crate) faults: Vec<Part>,
    /// References that were there although all clients had left.
    pub(crate) references_left: u32,
    /// What was promised and not kept, in words.
    pub(crate) broken: Vec<String>,
}

impl Part {
    pub(crate) fn new(fault: Fault, ways: BTreeMap<Way, Tally>, again: Duration) -> Self {
        let mut all = Tally::default();
        for tally in ways.values() {
            all.merge(tally);
        }
        Self {
            fault,
            all,
            again,
            ways,
        }
    }
}

impl Report {
    /// Looks what was broken.
    pub(crate) fn judge(&mut self) {
        self.broken.clear();
        for part in &self.faults {
            let broken = part.all.broken();
            let name = part.fault.name();
            let said = broken.into_iter().map(|what| format!("{name}: {what}"));
            self.broken.extend(said);
        }
        if self.references_left > 0 {
            let left = format!("{} references are left of nobody", self.references_left);
            self.broken.push(left);
        }
    }

    /// A row for each part.
    pub(crate) fn rows(&self) -> Vec<[String; COLUMNS.len()]> {
        let row = |part: &Part| cells(part.fault.name(), &part.all, Some(part.again));
        self.faults.iter().map(row).collect()
    }

    /// A row for each part and each way, with what the errors were.
    pub(crate) fn wide_rows(&self) -> Vec<[String; COLUMNS.len() + 2]> {
        let mut rows = Vec::new();
        for part in &self.faults {
            let all = [(String::new(), &part.all, Some(part.again))].into_iter();
            let ways = (part.ways.iter()).map(|(way, tally)| (name_of(*way), tally, None));
            for (way, tally, again) in all.chain(ways) {
                let mut failed = tally.failed.iter();
                let codes: Vec<String> = failed
                    .by_ref()
                    .map(|(kind, count)| format!("{count} {kind}"))
                    .collect();
                let cells = cells(part.fault.name(), tally, again);
                let mut row = cells.into_iter().chain([way, codes.join(", ")]);
                rows.push(std::array::from_fn(|_| row.next().unwrap_or_default()));
            }
        }
        rows
    }
}

/// The table's columns.
pub(crate) const COLUMNS: [&str; 12] = [
    "FAULT", "REQUESTS", "ANSWERED", "RESENT", "LATE", "NOT RUN", "UNKNOWN", "TWICE", "LOST",
    "NO END", "SILENCE", "AGAIN",
];

/// Those of the wide one.
pub(crate) const WIDE_COLUMNS: [&str; COLUMNS.len() + 2] = [
    "FAULT", "REQUESTS", "ANSWERED", "RESENT", "LATE", "NOT RUN", "UNKNOWN", "TWICE", "LOST",
    "NO END", "SILENCE", "AGAIN", "WAY", "ERRORS",
];

fn cells(name: String, tally: &Tally, again: Option<Duration>) -> [String; COLUMNS.len()] {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    [
        name,
        tally.requests.to_string(),
        tally.answered.to_string(),
        tally.answered_after_resend.to_string(),
        tally.late.to_string(),
        tally.did_not_run.to_string(),
        tally.outcome_unknown.to_string(),
        tally.ran_twice.to_string(),
        tally.lost.to_string(),
        tally.without_end.to_string(),
        seconds(tally.silence),
        again.map(seconds).unwrap_or_default(),
    ]
}

fn name_of(way: Way) -> String {
    use clap::ValueEnum;
    let value = way.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

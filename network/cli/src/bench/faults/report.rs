//! What a run came to: a table, or JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::caller::Way;
use super::fault::Fault;
use super::tally::{Tally, millis};
use crate::output::{wide, wide_row};

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
    /// That of a fault that was not over when the run ended.
    #[serde(skip)]
    pub(crate) cut_short: Option<Part>,
    /// References that were there although all clients had left; none if it did not come to that.
    pub(crate) references_left: Option<u32>,
    /// What was promised and not kept, in words.
    pub(crate) broken: Vec<String>,
}

/// What was promised and not kept.
#[derive(Debug, thiserror::Error)]
#[error("broken promises: {}", .0.join("; "))]
pub(crate) struct Broken(pub(crate) Vec<String>);

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

    /// What of it goes beyond what the fault explains, in words.
    fn too_much(&self) -> Option<String> {
        let unknown = |(_, tally): (&Way, &Tally)| tally.outcome_unknown;
        let (count, what) = match self.fault {
            Fault::Steady => (
                self.all.did_not_run + self.all.outcome_unknown,
                "failed though nothing went wrong",
            ),
            // Over direct connections an agent that leaves may be asked what it does not answer.
            Fault::AgentEnded | Fault::AgentsRestarted => (
                (self.ways.iter().filter(|(way, _)| !way.is_direct()))
                    .map(unknown)
                    .sum(),
                "through the server may have run though agents ended in order",
            ),
            _ => return None,
        };
        (count > 0).then(|| format!("{count} {what}"))
    }
}

impl Report {
    /// Looks what was broken.
    pub(crate) fn judge(&mut self) {
        self.broken.clear();
        for part in &self.faults {
            let mut broken = part.all.broken();
            broken.extend(part.too_much());
            let name = part.fault.name();
            let said = broken.into_iter().map(|what| format!("{name}: {what}"));
            self.broken.extend(said);
        }
        // What failed in it, something else may have done; never may a request run twice or be lost.
        if let Some(part) = &self.cut_short {
            let broken = part.all.never().into_iter();
            let name = part.fault.name();
            self.broken
                .extend(broken.map(|what| format!("{name}: {what}")));
        }
        if let Some(left @ 1..) = self.references_left {
            self.broken
                .push(format!("{left} references are left of nobody"));
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
                let failed = tally.failed.iter();
                let codes: Vec<String> = failed
                    .map(|(kind, count)| format!("{count} {kind}"))
                    .collect();
                let cells = cells(part.fault.name(), tally, again);
                rows.push(wide_row(cells, [way, codes.join(", ")]));
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
pub(crate) const WIDE_COLUMNS: [&str; COLUMNS.len() + 2] = wide(COLUMNS, &["WAY", "ERRORS"]);

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

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use huly_client::ErrorKind;

    use super::super::tally::Fate;
    use super::*;

    const PAGE: &str = include_str!("../../../../../docs/soundness.md");

    fn report() -> Report {
        let late = Duration::from_secs(1);
        let answered = Fate::Answered {
            took: Duration::from_secs(2),
            resent: true,
        };
        let (mut routed, mut gets) = (Tally::default(), Tally::default());
        routed.add(answered, late);
        routed.silence = Duration::from_millis(2_140);
        gets.add(Fate::Failed(ErrorKind::OutcomeUnknown), late);
        gets.add(Fate::Failed(ErrorKind::Busy), late);
        let ways = [(Way::Routed, routed), (Way::Gets, gets)].into();
        Report {
            agents: 3,
            clients: 25,
            rate: 250,
            faults: vec![Part::new(Fault::ServerKilled, ways, Duration::from_secs(1))],
            cut_short: None,
            references_left: Some(0),
            broken: Vec::new(),
        }
    }

    #[test]
    fn a_part_is_a_row() {
        let cells = |row: &[String]| row.join("|");
        let rows = report().rows();
        assert_eq!(
            cells(&rows[0]),
            "server-killed|3|1|1|1|1|1|0|0|0|2.1 s|1.0 s"
        );
        let wide = report().wide_rows();
        assert_eq!(
            cells(&wide[0]),
            "server-killed|3|1|1|1|1|1|0|0|0|2.1 s|1.0 s||1 Busy, 1 OutcomeUnknown"
        );
        assert_eq!(
            cells(&wide[1]),
            "server-killed|1|1|1|1|0|0|0|0|0|2.1 s||routed|"
        );
        assert_eq!(wide.len(), 3);
        assert_eq!(WIDE_COLUMNS[..COLUMNS.len()], COLUMNS);
    }

    #[test]
    fn scripts_read_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        let part = &json["faults"][0];
        assert_eq!(part["fault"], "server-killed");
        assert_eq!(part["answeredAfterResend"], 1);
        assert_eq!(part["outcomeUnknown"], 1);
        assert_eq!(part["longestSilenceMs"], 2_140);
        assert_eq!(part["allAnsweredAgainMs"], 1_000);
        assert_eq!(part["ways"]["gets"]["failed"]["Busy"], 1);
    }

    #[test]
    fn what_was_broken_is_said_with_its_part() {
        let mut report = report();
        report.judge();
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        report.faults[0].all.ran_twice = 2;
        report.references_left = Some(1);
        report.judge();
        let expected = [
            "server-killed: 2 ran twice",
            "1 references are left of nobody",
        ];
        assert_eq!(report.broken, expected);
    }

    #[test]
    fn of_a_fault_that_was_not_over_is_said_what_must_never_be() {
        let mut report = report();
        report.cut_short = report.faults.pop();
        let part = report.cut_short.as_mut().unwrap();
        part.fault = Fault::Steady;
        part.all.lost = 1;
        part.all.failed_wrongly = 1;
        report.judge();
        assert_eq!(report.broken, ["steady: 1 were answered and lost"]);
    }

    #[test]
    fn nothing_fails_where_nothing_goes_wrong() {
        let mut report = report();
        report.faults[0].fault = Fault::Steady;
        report.judge();
        assert_eq!(
            report.broken,
            ["steady: 2 failed though nothing went wrong"]
        );
    }

    #[test]
    fn who_ends_in_order_leaves_nothing_unknown_but_over_direct_connections() {
        let mut report = report();
        for fault in [Fault::AgentEnded, Fault::AgentsRestarted] {
            report.faults[0].fault = fault;
            report.judge();
            let expected = format!(
                "{}: 1 through the server may have run though agents ended in order",
                fault.name()
            );
            assert_eq!(report.broken, [expected]);
        }
        for way in [Way::Direct, Way::DirectIdempotent] {
            let ways = &mut report.faults[0].ways;
            let (_, tally) = ways.pop_last().unwrap();
            ways.insert(way, tally);
            report.judge();
            assert!(report.broken.is_empty(), "{way:?}: {:?}", report.broken);
        }
    }

    /// The table of the page is one that the program prints, of all faults, and nothing that is
    /// promised was broken.
    #[test]
    fn the_page_has_the_table() {
        let (_, section) = PAGE.split_once("\n## Load while failing\n").unwrap();
        assert!(section.contains("cargo xtask bench faults"));
        let (_, table) = section.split_once("```text\n").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        // Between columns there are three spaces or more.
        let cells = |line: &'static str| -> Vec<&str> {
            let cells = line.split("   ").map(str::trim);
            cells.filter(|cell| !cell.is_empty()).collect()
        };
        let mut lines = table.lines().map(cells);
        assert_eq!(lines.next().unwrap(), COLUMNS);
        let mut faults = Fault::value_variants().iter();
        for row in lines {
            let cell = |name: &str| row[COLUMNS.iter().position(|it| *it == name).unwrap()];
            assert_eq!(
                Some(cell("FAULT").to_owned()),
                faults.next().map(|it| it.name())
            );
            for never in ["TWICE", "LOST", "NO END"] {
                assert_eq!(cell(never), "0", "{never}: {row:?}");
            }
            let count = |name| cell(name).parse::<u64>().unwrap();
            let failed = count("NOT RUN") + count("UNKNOWN");
            assert!(failed == 0 || cell("FAULT") != "steady", "{row:?}");
            assert_eq!(count("ANSWERED") + failed, count("REQUESTS"), "{row:?}");
            assert!(count("ANSWERED") > 500, "{row:?}");
        }
        assert_eq!(faults.next(), None, "faults that have no row");
    }
}

//! What the chart should request, told from what was needed.

use std::fmt::Write as _;

/// What a program needed at its hardest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Need {
    /// The most memory at any time, in bytes.
    pub(super) memory: u64,
    /// CPU time in a second, in the busiest of the steady steps.
    pub(super) cores: f64,
}

/// Requests and limits, in the units of a Pod's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Advice {
    /// Thousandths of a core.
    cpu: u64,
    /// MiB.
    memory: u64,
    /// MiB.
    memory_limit: u64,
}

/// The least that a limit is worth setting to, in MiB.
const LEAST_LIMIT: u64 = 512;

impl Need {
    /// To request: what was needed and a quarter more. The limit is there for what has gone wrong, and
    /// a network may grow until then: a power of two that is four times that at least. CPU has none,
    /// for a program that is held up is late with its pings.
    fn advice(self) -> Advice {
        // Far below where floats skip whole numbers, and never negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millis = (self.cores * 1000.0).ceil() as u64;
        let mebibytes = self.memory.div_ceil(1 << 20);
        let more = |needed: u64| needed + needed.div_ceil(4);
        let memory = more(mebibytes).next_multiple_of(32);
        Advice {
            cpu: more(millis).max(1).next_multiple_of(50),
            memory,
            memory_limit: (memory * 4).next_power_of_two().max(LEAST_LIMIT),
        }
    }
}

/// What to write into the chart's values, a line for each program.
pub(super) fn table(needs: &[(&'static str, Need)]) -> String {
    let mut text =
        "To request, a quarter more than was needed; the limit is four times that or more:\n"
            .to_owned();
    for (name, need) in needs {
        let Advice {
            cpu,
            memory,
            memory_limit,
        } = need.advice();
        // A String takes everything.
        let _ = write!(
            text,
            "\n{name:<16} cpu {cpu}m, memory {memory}Mi, limit {memory_limit}Mi"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_yaml_ng::Value;

    use super::*;

    const MEASURED: &str = include_str!("../../../../docs/benchmarks.md");
    const VALUES: &str = include_str!("../../../../charts/huly-network/values.yaml");

    /// What the programs needed, by the table that was written down: memory at its most, and CPU of
    /// the steady steps.
    fn measured() -> Vec<(&'static str, Need)> {
        let cells = |line: &'static str| -> Vec<&str> {
            line.trim_matches('|').split('|').map(str::trim).collect()
        };
        let mut lines = MEASURED
            .lines()
            .skip_while(|line| !line.starts_with("| program"));
        let head = cells(lines.next().unwrap());
        assert_eq!(head.last(), Some(&"most memory"));
        let steady = |step: &str| step == "idle" || step.ends_with("requests a second");
        let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
        rows.map(|line| {
            let row = cells(line);
            assert_eq!(row.len(), head.len(), "{line}");
            let steps = head.iter().zip(&row).filter(|(step, _)| steady(step));
            let cores: Vec<f64> = steps
                .map(|(_, cell)| {
                    let (_, cores) = cell.split_once(", ").unwrap();
                    cores.strip_suffix(" cores").unwrap().parse().unwrap()
                })
                .collect();
            assert_eq!(cores.len(), 2, "{head:?}");
            let most = row[row.len() - 1].strip_suffix(" MiB").unwrap();
            let (whole, tenths) = most.split_once('.').unwrap();
            let tenths: u64 = whole.parse::<u64>().unwrap() * 10 + tenths.parse::<u64>().unwrap();
            let need = Need {
                memory: (tenths << 20) / 10,
                cores: cores[0].max(cores[1]),
            };
            (row[0], need)
        })
        .collect()
    }

    #[test]
    fn the_chart_asks_for_what_was_advised() {
        let values: Value = serde_yaml_ng::from_str(VALUES).unwrap();
        let measured = measured();
        let names: Vec<&str> = measured.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["network server", "agent", "operator"]);
        for ((name, need), component) in
            measured.iter().zip(["server", "agentDefaults", "operator"])
        {
            let advice = need.advice();
            let asked = &values[component]["resources"];
            let quantity = |of: &str, what: &str| asked[of][what].as_str().map(str::to_owned);
            let memory = |mebibytes: u64| match mebibytes {
                whole if whole.is_multiple_of(1024) => Some(format!("{}Gi", whole / 1024)),
                mebibytes => Some(format!("{mebibytes}Mi")),
            };
            let cpu = Some(format!("{}m", advice.cpu));
            assert_eq!(quantity("requests", "cpu"), cpu, "{name}");
            assert_eq!(
                quantity("requests", "memory"),
                memory(advice.memory),
                "{name}"
            );
            assert_eq!(
                quantity("limits", "memory"),
                memory(advice.memory_limit),
                "{name}"
            );
            assert!(asked["limits"]["cpu"].is_null(), "{name} is held up");
        }
    }

    #[test]
    fn a_quarter_more_is_requested_and_rounded_up() {
        let advice = |cores, mebibytes: u64| {
            let need = Need {
                memory: mebibytes << 20,
                cores,
            };
            let Advice {
                cpu,
                memory,
                memory_limit,
            } = need.advice();
            (cpu, memory, memory_limit)
        };
        assert_eq!(advice(0.0, 1), (50, 32, 512));
        assert_eq!(advice(0.04, 25), (50, 32, 512));
        assert_eq!(advice(0.041, 26), (100, 64, 512));
        assert_eq!(advice(1.5, 100), (1900, 128, 512));
        assert_eq!(advice(1.5, 110), (1900, 160, 1024));
    }

    #[test]
    fn every_program_has_a_line() {
        let need = Need {
            memory: 9 << 20,
            cores: 0.1,
        };
        let text = table(&[("agent", need), ("operator", need)]);
        assert!(
            text.ends_with("operator         cpu 150m, memory 32Mi, limit 512Mi"),
            "{text}"
        );
        assert_eq!(text.matches("memory 32Mi").count(), 2);
    }
}

//! Looks at processes, one after each step of a load.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::advice::Need;
use super::usage::Usage;

/// How a step uses CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As much as it is given.
    Burst,
    /// As much as it needs, all the time.
    Steady,
}

/// What some programs used in each step.
#[derive(Debug)]
pub(super) struct Series {
    programs: Vec<Used>,
    steps: Vec<String>,
    since: Instant,
}

/// What one program used.
#[derive(Debug)]
struct Used {
    name: &'static str,
    pid: u32,
    last: Usage,
    steps: Vec<Step>,
}

/// What it used in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    /// Memory at the end, in bytes.
    memory: u64,
    /// CPU time in a second, on average.
    cores: f64,
    pace: Pace,
}

impl Series {
    /// The first step begins.
    ///
    /// # Errors
    /// When a process is gone.
    pub(super) fn begin(programs: &[(&'static str, u32)]) -> Result<Self> {
        let begin = |&(name, pid): &(&'static str, u32)| {
            Ok(Used {
                name,
                pid,
                last: Usage::of(pid)?,
                steps: Vec::new(),
            })
        };
        Ok(Self {
            programs: programs.iter().map(begin).collect::<Result<_>>()?,
            steps: Vec::new(),
            since: Instant::now(),
        })
    }

    /// A step has ended, and the next begins.
    ///
    /// # Errors
    /// When a process is gone.
    pub(super) fn note(&mut self, step: &str, pace: Pace) -> Result<()> {
        let took = self.since.elapsed();
        for program in &mut self.programs {
            program.add(Usage::of(program.pid)?, took, pace);
        }
        self.steps.push(step.to_owned());
        self.since = Instant::now();
        Ok(())
    }

    /// What each program needed at its hardest: of CPU, in a steady step.
    pub(super) fn needs(&self) -> Vec<(&'static str, Need)> {
        let need = |used: &Used| {
            let steady = used.steps.iter().filter(|step| step.pace == Pace::Steady);
            Need {
                memory: used.last.most,
                cores: steady.map(|step| step.cores).fold(0.0, f64::max),
            }
        };
        self.programs
            .iter()
            .map(|used| (used.name, need(used)))
            .collect()
    }
}

impl Used {
    fn add(&mut self, now: Usage, took: Duration, pace: Pace) {
        let spent = now.cpu.saturating_sub(self.last.cpu);
        self.steps.push(Step {
            memory: now.memory,
            cores: spent.as_secs_f64() / took.as_secs_f64(),
            pace,
        });
        self.last = now;
    }
}

impl fmt::Display for Series {
    /// As a table in Markdown: memory at the end of a step, and how many cores it took.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "| program |")?;
        for step in &self.steps {
            write!(formatter, " {step} |")?;
        }
        writeln!(formatter, " most memory |")?;
        writeln!(
            formatter,
            "| --- |{}",
            " --- |".repeat(self.steps.len() + 1)
        )?;
        for program in &self.programs {
            write!(formatter, "| {} |", program.name)?;
            for Step { memory, cores, .. } in &program.steps {
                write!(formatter, " {}, {cores:.2} cores |", mebibytes(*memory))?;
            }
            writeln!(formatter, " {} |", mebibytes(program.last.most))?;
        }
        Ok(())
    }
}

/// As Kubernetes writes it, to a tenth.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(memory: u64, most: u64, cpu: u64) -> Usage {
        Usage {
            memory: memory << 20,
            most: most << 20,
            cpu: Duration::from_secs(cpu),
        }
    }

    #[test]
    fn a_step_has_what_was_used_in_it_alone_and_a_burst_asks_for_no_cpu() {
        let mut used = Used {
            name: "agent",
            pid: 0,
            last: usage(1, 1, 5),
            steps: Vec::new(),
        };
        used.add(usage(2, 2, 6), Duration::from_secs(4), Pace::Steady);
        used.add(usage(4, 9, 16), Duration::from_secs(20), Pace::Steady);
        used.add(usage(3, 9, 18), Duration::from_secs(1), Pace::Burst);
        let series = Series {
            programs: vec![used],
            steps: ["idle", "busy", "burst"].map(str::to_owned).to_vec(),
            since: Instant::now(),
        };
        assert_eq!(
            series.to_string(),
            "| program | idle | busy | burst | most memory |\n\
             | --- | --- | --- | --- | --- |\n\
             | agent | 2.0 MiB, 0.25 cores | 4.0 MiB, 0.50 cores | 3.0 MiB, 2.00 cores | 9.0 MiB |\n"
        );
        let need = Need {
            memory: 9 << 20,
            cores: 0.5,
        };
        assert_eq!(series.needs(), [("agent", need)]);
    }
}

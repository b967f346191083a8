//! What a process has used, as Linux says it in /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process has used up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Memory at the moment, in bytes (`VmRSS`).
    pub(super) memory: u64,
    /// The most memory at any time before, in bytes (`VmHWM`).
    pub(super) most: u64,
    /// CPU time since its start.
    pub(super) cpu: Duration,
}

impl Usage {
    /// Looks at a process.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let ticks = rustix::param::clock_ticks_per_second();
        Self::parse(&read("status")?, &read("stat")?, ticks)
            .with_context(|| format!("cannot understand what /proc/{pid} says"))
    }

    fn parse(status: &str, stat: &str, ticks_per_second: u64) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes = line.strip_prefix(':')?.trim().strip_suffix(" kB")?;
            kibibytes.parse::<u64>().ok()?.checked_mul(1024)
        };
        // Fields 14 and 15, in user mode and in the kernel; the name before field 3 may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut times = rest.split_whitespace().skip(11);
        let mut ticks = || times.next()?.parse::<u64>().ok();
        let ticks = ticks()? + ticks()?;
        let milliseconds = ticks.checked_mul(1000)?.checked_div(ticks_per_second)?;
        Some(Self {
            memory: field("VmRSS")?,
            most: field("VmHWM")?,
            cpu: Duration::from_millis(milliseconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\thuly\nVmPeak:\t   99999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
    const STAT: &str = "7 (a ) b) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 9 9 20 0 3 0 100 1000 256 18446744073709551615";

    #[test]
    fn memory_and_cpu_time_are_read() {
        let usage = Usage::parse(STATUS, STAT, 100).unwrap();
        assert_eq!((usage.memory, usage.most), (1 << 20, 2 << 20));
        assert_eq!(usage.cpu, Duration::from_secs(2));
    }

    #[test]
    fn what_is_no_process_is_refused() {
        assert_eq!(Usage::parse("", STAT, 100), None);
        assert_eq!(Usage::parse(STATUS, "7 (a", 100), None);
        assert_eq!(Usage::parse(STATUS, STAT, 0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory > 0 && usage.most >= usage.memory, "{usage:?}");
    }
}

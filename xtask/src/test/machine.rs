//! What a cluster with nodes could leave on the machine, before it and after it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::environment::Identity;
use crate::environment::nodes::{is_of_another, slots_of};

/// How long the kernel may take to tidy up after the last process.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

/// What the kubelet would set for all of the machine.
const SETTINGS: [&str; 4] = [
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/net/ipv4/ip_forward",
];

/// Where a node's programs would put files if they had no folders of their own.
const FOLDERS: [&str; 8] = [
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/containerd",
    "/run/runc",
    "/run/pod-addresses",
];

/// One look at the machine: a set of plain lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine(BTreeSet<String>);

impl Machine {
    /// Looks at an environment in this folder: the folder itself, its place on the machine, its processes;
    /// and at interfaces, mounts, control groups, settings of the kernel, folders.
    pub(super) fn look(environment: &Path) -> Result<Self> {
        let of_another = |name: &str| is_of_another(name, environment);
        let mut seen = BTreeSet::new();
        if environment.exists() {
            seen.insert(format!("folder {}", environment.display()));
        }
        for slot in slots_of(environment) {
            seen.insert(format!("slot {slot}"));
        }
        for name in names_in("/sys/class/net") {
            if !of_another(&name) {
                seen.insert(format!("interface {name}"));
            }
        }
        for name in names_in("/run/netns") {
            seen.insert(format!("network namespace {name}"));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read mounts")?;
        for mount in mounts.lines() {
            seen.insert(format!("mount {mount}"));
        }
        for hierarchy in names_in("/sys/fs/cgroup") {
            let inner = names_in(Path::new("/sys/fs/cgroup").join(&hierarchy));
            for group in inner.into_iter().chain([hierarchy]) {
                if group.starts_with("huly") && !of_another(&group) {
                    seen.insert(format!("control group {group}"));
                }
            }
        }
        for pid in names_in("/proc") {
            if is_of(&pid, environment) {
                seen.extend(process_line(&pid));
            }
        }
        for setting in SETTINGS {
            let value = fs::read_to_string(setting).unwrap_or_default();
            seen.insert(format!("setting {setting} {}", value.trim()));
        }
        for folder in FOLDERS {
            if Path::new(folder).exists() {
                seen.insert(format!("folder {folder}"));
            }
        }
        Ok(Self(seen))
    }

    /// Whether an environment has a place here.
    pub(super) fn has_place(&self) -> bool {
        self.all("slot").next().is_some()
    }

    /// Expects that of an environment that was here at this look an `up` has cleared all, whose own is here at
    /// a later one.
    ///
    /// # Errors
    /// Names the processes that are still the same, or the places if there is not one.
    pub(super) fn is_cleared(&self, later: &Self) -> Result<()> {
        let still: Vec<&str> = self
            .all("process")
            .filter(|line| later.0.contains(*line))
            .collect();
        ensure!(still.is_empty(), "still there: {}", still.join(", "));
        let places: Vec<&str> = later.all("slot").collect();
        ensure!(places.len() == 1, "not one place, but {places:?}");
        Ok(())
    }

    /// The lines of one sort.
    fn all(&self, sort: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .map(String::as_str)
            .filter(move |line| line.split(' ').next() == Some(sort))
    }

    /// Waits until the machine is again as it was at this look.
    ///
    /// # Errors
    /// Names what is more and what is less.
    pub(super) async fn is_restored(&self, environment: &Path) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::look(environment)?;
            if now == *self {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("the machine is not as before:\n{}", self.changes(&now));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn changes(&self, now: &Self) -> Changes {
        let lines = |one: &Self, other: &Self| one.0.difference(&other.0).cloned().collect();
        Changes {
            more: lines(now, self),
            less: lines(self, now),
        }
    }
}

struct Changes {
    more: Vec<String>,
    less: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, lines) in [('+', &self.more), ('-', &self.less)] {
            for line in lines {
                writeln!(formatter, "  {sign} {line}")?;
            }
        }
        Ok(())
    }
}

/// Whether a process was started for the environment. One in a Pod shows by its control group.
fn is_of(pid: &str, environment: &Path) -> bool {
    if pid == std::process::id().to_string() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let line = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    let below = format!("{}/", environment.display());
    String::from_utf8_lossy(&line).contains(&below)
}

/// A process of this number, and of no other time.
fn process_line(pid: &str) -> Option<String> {
    let found = Identity::of(pid.parse().ok()?)?;
    Some(format!("process {pid}, started {}", found.started))
}

fn names_in(folder: impl AsRef<Path>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_of_an_environment_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let before = Machine::look(folder.path()).unwrap();
        let mark = folder.path().join("mark");
        fs::write(&mark, "").unwrap();
        let mut child = std::process::Command::new("tail")
            .arg("-f")
            .arg(&mark)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let expected = process_line(&child.id().to_string()).unwrap();
        // What it was called with shows a moment after its start.
        let deadline = Instant::now() + PATIENCE;
        let now = loop {
            let now = Machine::look(folder.path()).unwrap();
            if before.changes(&now).more.contains(&expected) {
                break now;
            }
            assert!(Instant::now() < deadline, "{expected} is not seen");
            std::thread::sleep(LOOK);
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let after = Machine::look(folder.path()).unwrap();
        assert!(now.changes(&after).less.contains(&expected));
    }

    #[test]
    fn an_environment_that_is_left_is_a_change() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("environment");
        let before = Machine::look(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        let changes = before.changes(&Machine::look(&folder).unwrap());
        let expected = format!("folder {}", folder.display());
        assert!(changes.more.contains(&expected), "{changes}");
    }

    #[test]
    fn what_an_up_has_not_cleared_is_named() {
        let look = |lines: &[&str]| Machine(lines.iter().map(|line| (*line).to_owned()).collect());
        let crashed = look(&["process 1, started 5", "process 2, started 5", "slot 0"]);
        assert!(crashed.has_place());
        assert!(!look(&["process 1, started 5"]).has_place());
        let good = look(&["process 2, started 9", "slot 0"]);
        crashed.is_cleared(&good).unwrap();
        for (bad, named) in [
            (
                &["process 1, started 5", "slot 0"][..],
                "process 1, started 5",
            ),
            (&["slot 0", "slot 1"], "\"slot 1\""),
            (&[], "[]"),
        ] {
            let error = crashed.is_cleared(&look(bad)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}

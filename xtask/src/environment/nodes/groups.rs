//! A node's control groups: below one of its own in each hierarchy, its Pods' lie.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::environment::Identity;

/// The group of a node's first process, below the node's. (In cgroup v2 a group has groups in it
/// or processes, not both.)
const FIRST: &str = "init";

const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// The hierarchies of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Groups {
    /// Where they are mounted.
    roots: Vec<PathBuf>,
    /// The one that tells a node's first process.
    home: PathBuf,
    /// One for all controllers, as cgroup v2 has it.
    unified: bool,
}

impl Groups {
    /// # Errors
    /// When there are none.
    pub(super) fn of_this_machine() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read mounts")?;
        Self::from_mounts(&mounts)
    }

    /// A v2 hierarchy beside v1 ones has no controllers; runc uses it nevertheless.
    fn from_mounts(mountinfo: &str) -> Result<Self> {
        let mut v1 = Vec::new();
        let mut v2 = Vec::new();
        for line in mountinfo.lines() {
            let Some((mount, kind)) = line.split_once(" - ") else {
                continue;
            };
            let Some(path) = mount.split(' ').nth(4).map(PathBuf::from) else {
                continue;
            };
            if !path.starts_with("/sys/fs/cgroup") {
                continue;
            }
            match kind.split(' ').next() {
                Some("cgroup") => v1.push(path),
                Some("cgroup2") => v2.push(path),
                _ => {}
            }
        }
        let unified = v1.is_empty();
        let roots = [v1, v2].concat();
        let home = roots
            .iter()
            .find(|root| unified || root.ends_with("pids"))
            .context("this machine has no control groups that count processes")?
            .clone();
        Ok(Self {
            roots,
            home,
            unified,
        })
    }

    /// Makes a node's group in each hierarchy.
    pub(super) fn make(&self, space: &str) -> Result<()> {
        for root in &self.roots {
            let group = root.join(space);
            fs::create_dir_all(&group)
                .with_context(|| format!("cannot make {}", group.display()))?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let of_root = root.join(file);
                // Without cgroup v1's cpuset there is nothing to fill in.
                if !self.unified && of_root.exists() {
                    fs::copy(&of_root, group.join(file))
                        .with_context(|| format!("cannot fill in {}", group.display()))?;
                }
            }
        }
        if self.unified {
            let group = self.home.join(space);
            pass_controllers_on(&self.home)?;
            pass_controllers_on(&group)?;
        }
        let first = self.first(space);
        fs::create_dir_all(&first).with_context(|| format!("cannot make {}", first.display()))
    }

    /// The group that a node's first process puts itself in.
    pub(super) fn first(&self, space: &str) -> PathBuf {
        self.home.join(space).join(FIRST)
    }

    /// The first process of a node that has come up.
    pub(super) fn first_process(&self, space: &str) -> Option<Identity> {
        processes(&self.first(space))
            .into_iter()
            .find_map(Identity::of)
    }

    /// The nodes of a slot that have groups.
    pub(super) fn spaces(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .roots
            .iter()
            .flat_map(|root| below(root))
            .filter_map(|group| Some(group.file_name()?.to_str()?.to_owned()))
            .filter(|name| name.starts_with(prefix))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Ends every process in a node's groups, the first one first, for all others end with it,
    /// and removes the groups.
    ///
    /// # Errors
    /// When something stays.
    pub(super) async fn clear(&self, space: &str) -> Result<()> {
        if let Some(first) = self.first_process(space) {
            first.kill().await?;
        }
        for root in &self.roots {
            let group = root.join(space);
            let deadline = Instant::now() + PATIENCE;
            loop {
                for pid in all_processes(&group) {
                    if let Some(process) = Identity::of(pid) {
                        process.kill().await?;
                    }
                }
                match remove(&group) {
                    Ok(()) => break,
                    // A group whose last process has ended just now is busy for a moment.
                    Err(error)
                        if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline =>
                    {
                        tokio::time::sleep(LOOK).await;
                    }
                    Err(error) => bail!("cannot remove {}: {error}", group.display()),
                }
            }
        }
        Ok(())
    }
}

/// Lets groups below this one have its controllers.
fn pass_controllers_on(group: &Path) -> Result<()> {
    let read = |file: &str| {
        let path = group.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let wanted: String = read("cgroup.controllers")?
        .split_whitespace()
        .map(|controller| format!("+{controller} "))
        .collect();
    let path = group.join("cgroup.subtree_control");
    fs::write(&path, wanted.trim_end()).with_context(|| format!("cannot write {}", path.display()))
}

fn processes(group: &Path) -> Vec<u32> {
    fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn all_processes(group: &Path) -> Vec<u32> {
    let mut found = processes(group);
    for inner in below(group) {
        found.extend(all_processes(&inner));
    }
    found
}

fn below(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(group) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The files of a group are the kernel's: only the folders are removed.
fn remove(group: &Path) -> std::io::Result<()> {
    for inner in below(group) {
        remove(&inner)?;
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_and_unified_machines_are_told_apart() {
        let hybrid = "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n\
            39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
            22 27 0:21 / /proc rw,relatime - proc proc rw\n";
        let groups = Groups::from_mounts(hybrid).unwrap();
        assert_eq!(groups.home, Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(groups.roots.len(), 3);
        assert!(!groups.unified);

        let unified = "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        let groups = Groups::from_mounts(unified).unwrap();
        assert_eq!(groups.home, Path::new("/sys/fs/cgroup"));
        assert!(groups.unified);

        assert!(Groups::from_mounts("22 27 0:21 / /proc rw - proc proc rw\n").is_err());
    }
}

//! The first process of a node: it makes the node's own view of the machine and waits.
//!
//! A node is a set of namespaces (processes, mounts, network, host name), as a machine has them.
//! When this process is killed, the kernel ends every other process of the node with it, then
//! its mounts and its network: nothing of them can be left behind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount,
};
use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};

/// What is the node's own in place of the machine's: its folder there, the path that hides.
const FOLDERS: [(&str, &str); 2] = [("lib", "/var/lib"), ("log", "/var/log")];

/// Settings of the one kernel that all nodes share: nothing of a node may change them.
const KERNEL: [&str; 2] = ["/proc/sys/kernel", "/proc/sys/vm"];

/// What a kubelet insists on among these: it sees files of the node's in their place.
const EXPECTED: [(&str, &str); 6] = [
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/proc/sys/vm/panic_on_oom", "0"),
    ("/proc/sys/kernel/panic", "10"),
    ("/proc/sys/kernel/panic_on_oops", "1"),
    ("/proc/sys/kernel/keys/root_maxkeys", "1000000"),
    ("/proc/sys/kernel/keys/root_maxbytes", "25000000"),
];

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The node's name
    #[arg(long)]
    name: String,
    /// The folder of its files
    #[arg(long)]
    folder: PathBuf,
    /// The control group that it joins once all is made
    #[arg(long)]
    group: PathBuf,
    /// What tells this start of the node from others
    #[arg(long)]
    boot_id: String,
}

/// The folders that a node's folder must hold.
pub(super) fn folders(node: &Path) -> [PathBuf; 2] {
    FOLDERS.map(|(own, _)| node.join(own))
}

/// Whether a node sees this path as the machine does.
pub(super) fn is_seen(path: &Path) -> bool {
    !path.starts_with("/run")
        && !path.starts_with("/proc")
        && FOLDERS.iter().all(|(_, hidden)| !path.starts_with(hidden))
}

/// Makes the node's view, joins its control group as a sign of that, and reaps processes that
/// are left to it; never ends by itself.
///
/// # Errors
/// When it is not the first process of namespaces of its own, or something cannot be mounted.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        std::process::id() == 1,
        "this is for the first process of a node, which `cargo xtask up --nodes` starts"
    );
    make_view(arguments)?;
    rustix::system::sethostname(arguments.name.as_bytes()).context("cannot set the host name")?;
    let mut ended = signal(SignalKind::child()).context("cannot wait for processes to end")?;
    let processes = arguments.group.join("cgroup.procs");
    fs::write(&processes, "0").with_context(|| format!("cannot join {}", processes.display()))?;
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        ended.recv().await;
    }
}

fn make_view(arguments: &Arguments) -> Result<()> {
    // Among this node's mount namespaces, as on any machine: kubelet passes mounts on to Pods.
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared).context("cannot share mounts within the node")?;
    for path in KERNEL {
        bind(Path::new(path), path)?;
        let read_only = MountFlags::BIND | MountFlags::RDONLY;
        mount_remount(path, read_only, c"")
            .with_context(|| format!("cannot make {path} read-only"))?;
    }
    let settings = arguments.folder.join("settings");
    fs::create_dir_all(&settings).with_context(|| format!("cannot make {}", settings.display()))?;
    let boot_id = (BOOT_ID, arguments.boot_id.as_str());
    for (path, text) in EXPECTED.into_iter().chain([boot_id]) {
        let own = settings.join(path.replace('/', "_"));
        fs::write(&own, format!("{text}\n"))
            .with_context(|| format!("cannot write {}", own.display()))?;
        bind(&own, path)?;
    }
    for (own, hidden) in FOLDERS {
        bind(&arguments.folder.join(own), hidden)?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", "/run", "tmpfs", flags, c"mode=0755").context("cannot make a /run")
}

fn bind(source: &Path, target: &str) -> Result<()> {
    mount_bind(source, target)
        .with_context(|| format!("cannot mount {} on {target}", source.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_has_for_itself_hides_the_machines() {
        assert!(is_seen(Path::new("/root/.cache/huly-network")));
        assert!(is_seen(Path::new("/var/cache/huly")));
        for hidden in ["/run/user/0", "/var/lib/huly", "/var/log/x"] {
            assert!(!is_seen(Path::new(hidden)), "{hidden}");
        }
    }
}

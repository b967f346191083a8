//! The programs in Pods as processes: those of the nodes are the machine's, too.

use std::fs;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Kills a program inside a Pod, by the Pod's uid, with SIGKILL: the Pod stays.
///
/// # Errors
/// When it is not found there exactly once.
pub fn kill_in_pod(uid: &str, program: &str) -> Result<()> {
    let mut found = processes_in_pod(uid, program)?;
    let process = found.pop();
    let process = process.with_context(|| format!("no {program} runs in {uid}"))?;
    ensure!(found.is_empty(), "{program} runs several times in {uid}");
    Ok(kill_process(process, Signal::KILL)?)
}

/// The processes of a program in a Pod, whatever Kubernetes knows of it, by their control group.
///
/// # Errors
/// When the machine's processes cannot be listed.
pub fn processes_in_pod(uid: &str, program: &str) -> Result<Vec<Pid>> {
    let group = format!("/pod{uid}/");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let folder = entry.context("/proc")?.path();
        let number = folder.file_name().and_then(|name| name.to_str());
        let number = number.and_then(|name| name.parse().ok());
        let Some(process) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // What cannot be read has ended meanwhile.
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
        if read("cgroup").contains(&group) && read("comm").trim() == program {
            found.push(process);
        }
    }
    Ok(found)
}

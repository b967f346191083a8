//! What is written down about an environment, so that a later run can find and end it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::nodes::Plan;
use super::ports::Ports;
use super::process::Identity;
use crate::files::write_private;

const FILE: &str = "state.json";

/// An environment: its processes, where they listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    /// The checkout that it was started from.
    pub(crate) workspace: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) ports: Ports,
    /// Its place on this machine, if it has nodes.
    #[serde(default)]
    pub(crate) nodes: Option<Plan>,
    /// Whether all of it came up.
    pub(crate) complete: bool,
    /// In the order they were started in.
    pub(crate) processes: Vec<Recorded>,
}

/// One started program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) log: PathBuf,
}

impl State {
    /// The file in an environment's folder.
    pub(crate) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads what is written in an environment's folder; nothing if nothing is.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = Self::file(folder);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let state = serde_json::from_str(&text)
            .with_context(|| format!("{} is not an environment's state", path.display()))?;
        Ok(Some(state))
    }

    /// Writes it into its folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write a state down")?;
        write_private(&Self::file(folder), &text)
    }

    /// Takes a started program down, in place of an earlier one of its name.
    pub(crate) fn record(&mut self, started: Recorded) {
        match self
            .processes
            .iter_mut()
            .find(|known| known.name == started.name)
        {
            Some(known) => *known = started,
            None => self.processes.push(started),
        }
    }

    /// Forgets the programs that have ended as they should.
    pub(crate) fn forget(&mut self, ended: impl Fn(&Recorded) -> bool) {
        self.processes.retain(|process| !ended(process));
    }

    pub(crate) fn process(&self, name: &str) -> Result<&Recorded> {
        self.processes
            .iter()
            .find(|known| known.name == name)
            .with_context(|| format!("{name} was not started"))
    }

    /// Whether every one of its processes runs.
    pub(crate) fn is_running(&self) -> bool {
        self.complete
            && self
                .processes
                .iter()
                .all(|process| process.identity.is_alive())
    }
}

/// The ports that the environments in `environments` have for themselves.
pub(crate) fn ports_taken(environments: &Path) -> BTreeSet<u16> {
    names(environments)
        .iter()
        // One that cannot be read is reported when it is taken down.
        .filter_map(|name| State::read(&environments.join(name)).ok().flatten())
        .flat_map(|state| state.ports.all().collect::<Vec<_>>())
        .collect()
}

/// The names of the environments that have a folder, in order.
pub(crate) fn names(environments: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(environments) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            entry
                .file_type()
                .ok()?
                .is_dir()
                .then(|| entry.file_name().into_string().ok())?
        })
        .collect();
    names.sort();
    names
}

/// Refuses a name that is not a plain folder name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || name.starts_with('-') || !name.chars().all(plain) {
        bail!("an environment's name is 1 to 40 of a-z, 0-9 and -, not {name:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str, pid: u32) -> Recorded {
        Recorded {
            name: name.to_owned(),
            identity: Identity {
                pid,
                started: "then".to_owned(),
            },
            program: PathBuf::from("/bin/etcd"),
            arguments: vec!["--flag".to_owned()],
            log: PathBuf::from("/tmp/etcd.log"),
        }
    }

    fn state(name: &str) -> State {
        State {
            name: name.to_owned(),
            workspace: PathBuf::from("/somewhere"),
            kubeconfig: PathBuf::from("/somewhere/kubeconfig"),
            ports: Ports::choose(&BTreeSet::new()).unwrap(),
            nodes: None,
            complete: false,
            processes: Vec::new(),
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        let mut written = state("one");
        written.record(recorded("etcd", 42));
        written.write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), Some(written));
    }

    #[test]
    fn a_broken_state_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = State::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }

    #[test]
    fn a_program_started_again_takes_its_own_place() {
        let mut state = state("one");
        state.record(recorded("etcd", 1));
        state.record(recorded("network", 2));
        state.record(recorded("etcd", 3));
        let pids: Vec<u32> = state
            .processes
            .iter()
            .map(|process| process.identity.pid)
            .collect();
        assert_eq!(pids, [3, 2]);
    }

    #[test]
    fn a_complete_state_with_a_dead_process_does_not_run() {
        let mut state = state("one");
        state.complete = true;
        assert!(state.is_running());
        state.record(recorded("etcd", std::process::id()));
        assert!(
            !state.is_running(),
            "the recorded start is not this process's"
        );
    }

    #[test]
    fn ports_of_known_environments_are_taken() {
        let environments = tempfile::tempdir().unwrap();
        let known = state("one");
        known.write(&environments.path().join("one")).unwrap();
        fs::create_dir(environments.path().join("empty")).unwrap();
        assert_eq!(
            ports_taken(environments.path()),
            known.ports.all().collect()
        );
        assert_eq!(names(environments.path()), ["empty", "one"]);
    }

    #[test]
    fn names_are_plain() {
        for good in ["default", "a", "two-2"] {
            check_name(good).unwrap();
        }
        for bad in ["", "..", "a/b", "-a", "A", &"x".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad:?} was taken");
        }
    }
}

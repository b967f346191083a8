//! What containers executed, as they wrote it down: agents of the tests' own, `huly-test-agent`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use huly_protocol::Epoch;
use serde::Deserialize;

use crate::network::Network;
use crate::settings::Settings;

/// The file that the containers of a network write to.
#[derive(Debug)]
pub struct Logbook {
    file: PathBuf,
    // The file goes with it.
    _folder: tempfile::TempDir,
}

/// A request that a container executed.
#[derive(Debug, Clone, Deserialize)]
pub struct Executed {
    /// The container.
    pub uuid: String,
    /// The agent that it was on.
    pub agent: String,
    /// Which life of the container it was.
    pub epoch: Epoch,
    /// The request's data, another number each.
    pub data: u64,
}

impl Logbook {
    /// Makes the agents of a network such as have the kinds `logbook` and `notebook`, which write to
    /// the file. None may have been started.
    ///
    /// # Errors
    /// When the file's folder cannot be made.
    pub fn of(network: &mut Network) -> Result<Self> {
        let programs = Settings::read()?.programs;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("logbook");
        for agent in &mut network.agents {
            agent.replace(programs.join("huly-test-agent"));
            agent.tell("HULY_TEST_LOGBOOK", file.clone());
        }
        Ok(Self {
            file,
            _folder: folder,
        })
    }

    /// What a container executed so far, in order.
    ///
    /// # Errors
    /// When the file is not what containers write.
    pub fn executed(&self, uuid: &str) -> Result<Vec<Executed>> {
        let mut all = Vec::new();
        // Before the first request there is no file.
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may be on its way still.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let executed: Executed = serde_json::from_str(line).with_context(|| line.to_owned())?;
            all.push(executed);
        }
        all.retain(|executed| executed.uuid == uuid);
        Ok(all)
    }

    /// The same, once it is seen that no life executed anything after a later one had, and that
    /// nothing was executed twice.
    ///
    /// # Errors
    /// When a life or a request overlapped.
    pub fn checked(&self, uuid: &str) -> Result<Vec<Executed>> {
        self.checked_but(uuid, 0)
    }

    /// The same, where earlier lives may have executed so many requests late.
    ///
    /// # Errors
    /// When they executed more, or a request ran twice.
    pub fn checked_but(&self, uuid: &str, most: usize) -> Result<Vec<Executed>> {
        let all = self.executed(uuid)?;
        let mut latest = None;
        let mut late = Vec::new();
        for executed in &all {
            if latest > Some(executed.epoch) {
                late.push(executed);
            }
            latest = latest.max(Some(executed.epoch));
        }
        ensure!(
            late.len() <= most,
            "earlier lives went on after {latest:?} had begun: {late:?}"
        );
        let mut times: BTreeMap<u64, Vec<&Executed>> = BTreeMap::new();
        for executed in &all {
            times.entry(executed.data).or_default().push(executed);
        }
        let twice = times.values().find(|times| times.len() > 1);
        ensure!(twice.is_none(), "a request ran twice: {twice:?}");
        Ok(all)
    }
}

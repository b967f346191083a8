//! An environment: a folder with the files, logs and processes of one local cluster.
//!
//! Processes outlive the run of `cargo xtask` that started them; what is needed to end them is
//! written down right after each start, so that a later run can clear what an earlier one left.

mod control_plane;
mod end;
mod keys;
mod logs;
mod network;
pub(crate) mod nodes;
mod ports;
mod process;
mod roles;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitStatus;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Child;

use self::end::{clear, in_use, lock_path};
pub(crate) use self::end::{down, names, until_unused};
pub(crate) use self::keys::Keys;
pub(crate) use self::network::{AGENTS, NETWORK, OPERATOR};
use self::ports::Ports;
pub(crate) use self::process::Identity;
use self::state::Recorded;
pub(crate) use self::state::{State, check_name};
use crate::command::{Program, append_to};
use crate::files::{self, Lock};
use crate::report::show;
use crate::workspace::Workspace;

/// How often a program that starts is asked whether it is ready.
const ASK: Duration = Duration::from_millis(50);

/// An environment that this run starts programs in. Nobody else touches it meanwhile.
pub(crate) struct Environment {
    pub(crate) folder: PathBuf,
    /// The folder of all its programs' logs.
    pub(crate) logs: PathBuf,
    pub(crate) keys: Keys,
    state: State,
    children: BTreeMap<String, Child>,
    _lock: Lock,
}

impl Environment {
    /// Makes the environment's folder, keys and choice of ports, after clearing what an earlier
    /// one of its name left.
    ///
    /// # Errors
    /// When it runs, or another run works on it, or the files cannot be written.
    pub(crate) async fn create(workspace: &Workspace, name: &str) -> Result<Self> {
        let Some(lock) = Lock::try_take(&lock_path(&workspace.environments(), name))? else {
            bail!("{}", in_use(name));
        };
        Self::create_locked(workspace, name, lock).await
    }

    /// Makes an environment under the first of NAME, NAME-2, … that no other run works on.
    ///
    /// # Errors
    /// As [`Environment::create`], or when all those names are in use.
    pub(crate) async fn create_unused(workspace: &Workspace, name: &str) -> Result<Self> {
        for number in 1..=9 {
            let candidate = if number == 1 {
                name.to_owned()
            } else {
                format!("{name}-{number}")
            };
            let lock = Lock::try_take(&lock_path(&workspace.environments(), &candidate))?;
            if let Some(lock) = lock {
                return Self::create_locked(workspace, &candidate, lock).await;
            }
        }
        bail!("nine environments named {name} are in use")
    }

    async fn create_locked(workspace: &Workspace, name: &str, lock: Lock) -> Result<Self> {
        let environments = workspace.environments();
        let folder = environments.join(name);
        let before = State::read(&folder)?;
        if let Some(state) = &before
            && state.is_running()
        {
            bail!(
                "the environment {name} is up already (kubeconfig: {kubeconfig})\n\n\
                 To look around:\n\n    source {shell}\n\n\
                 End it with:\n\n    cargo xtask down --name {name}\n\n\
                 or start another beside it with another --name",
                kubeconfig = state.kubeconfig.display(),
                shell = shell_file(&folder).display(),
            );
        }
        if before.is_some() {
            show(&format!(
                "the environment {name} had stopped in part: it is ended and made anew, empty"
            ));
        }
        clear(&folder).await?;
        let logs = workspace.logs(name);
        files::remove_folder(&logs)?;
        logs::tidy(workspace)?;

        let keys = Keys::at(&folder);
        let choosing = Lock::take(&environments.join(".ports.lock"), || ()).await?;
        let state = State {
            name: name.to_owned(),
            workspace: workspace.root.clone(),
            kubeconfig: keys.admin_kubeconfig(),
            ports: Ports::choose(&state::ports_taken(&environments))?,
            nodes: None,
            complete: false,
            processes: Vec::new(),
        };
        state.write(&folder)?;
        drop(choosing);
        keys.make(Ipv4Addr::LOCALHOST, state.ports.apiserver, &[])?;
        Ok(Self {
            folder,
            logs,
            keys,
            state,
            children: BTreeMap::new(),
            _lock: lock,
        })
    }

    /// Takes an environment that runs, to change it.
    ///
    /// # Errors
    /// When it is not up, or another run works on it.
    pub(crate) fn open(workspace: &Workspace, name: &str) -> Result<Self> {
        let environments = workspace.environments();
        let Some(lock) = Lock::try_take(&lock_path(&environments, name))? else {
            bail!("{}", in_use(name));
        };
        let folder = environments.join(name);
        let state = State::read(&folder)?
            .filter(|state| state.complete)
            .with_context(|| format!("the environment {name} is not up"))?;
        Ok(Self {
            keys: Keys::at(&folder),
            logs: workspace.logs(name),
            folder,
            state,
            children: BTreeMap::new(),
            _lock: lock,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.state.name
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.state.ports
    }

    /// The process of one program.
    ///
    /// # Errors
    /// When it was not started.
    pub(crate) fn pid(&self, name: &str) -> Result<u32> {
        Ok(self.state.process(name)?.identity.pid)
    }

    /// The log of one program.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The file that a shell reads to use it.
    pub(crate) fn shell_file(&self) -> PathBuf {
        shell_file(&self.folder)
    }

    /// The file that describes its processes and ports.
    pub(crate) fn state_file(&self) -> PathBuf {
        State::file(&self.folder)
    }

    /// Notes that all of it came up.
    pub(crate) fn complete(&mut self) -> Result<()> {
        self.state.complete = true;
        self.state.write(&self.folder)
    }

    /// Starts a program under a name of its own, its output going to its log. It begins once it is
    /// written down: whenever this run is killed, a later one knows all that runs.
    ///
    /// # Errors
    /// When it cannot be started or written down.
    pub(crate) fn start(&mut self, name: &str, program: &Program) -> Result<()> {
        let log = self.log(name);
        let output = append_to(&log)?;
        let errors = output.try_clone().context("cannot share a log file")?;
        let (gate, mut open) = std::io::pipe().context("cannot make a pipe")?;
        let gated = program.gated();
        let child = gated.spawn_with(gate.into(), output.into(), errors.into())?;
        let identity = child
            .id()
            .and_then(Identity::of)
            .with_context(|| format!("{name} was gone right after its start"))?;
        self.state.record(Recorded {
            name: name.to_owned(),
            identity,
            program: program.path.clone(),
            arguments: program
                .arguments
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            log,
        });
        self.children.insert(name.to_owned(), child);
        self.state.write(&self.folder)?;
        open.write_all(b"\n")
            .with_context(|| format!("{name} was gone right after its start"))
    }

    /// Ends a program by force and waits until it is gone.
    ///
    /// # Errors
    /// When it was not started, has ended by itself before, or survives.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<()> {
        let process = self.state.process(name)?;
        if !process.identity.is_alive() {
            bail!("{name} had ended before; {}", tail(&process.log));
        }
        process.identity.kill().await?;
        if let Some(mut child) = self.children.remove(name) {
            child
                .wait()
                .await
                .with_context(|| format!("cannot wait for {name}"))?;
        }
        Ok(())
    }

    /// Waits until a program that was started is ready.
    ///
    /// # Errors
    /// When it or another one ends, which it may need: with the end of that one's log. When it is
    /// not ready in time: with what it last waited for and the end of its log.
    pub(crate) async fn await_ready<F>(
        &mut self,
        name: &str,
        patience: Duration,
        mut ready: impl FnMut() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let log = self.log(name);
        let deadline = Instant::now() + patience;
        let asked = async {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let waits_for = match tokio::time::timeout(left, ready()).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) => Some(format!("{error:#}")),
                    Err(_) => None,
                };
                if Instant::now() >= deadline {
                    let waits_for = waits_for.unwrap_or_else(|| "it does not answer".to_owned());
                    let seconds = patience.as_secs();
                    bail!(
                        "{name} is not ready after {seconds} s: {waits_for}; {}",
                        tail(&log)
                    );
                }
                tokio::time::sleep(ASK).await;
            }
        };
        tokio::select! {
            biased;
            ended = first_ended(&self.state, &mut self.children) => {
                let (ended, status) = ended?;
                let before = match ended == name {
                    true => String::new(),
                    false => format!(" while {name} was waited for"),
                };
                bail!("{ended} ended{before} ({status}); {}", tail(&self.log(&ended)))
            }
            outcome = asked => outcome,
        }
    }

    /// Ends every process of it and removes its folder. The logs stay until the next environment
    /// of its name.
    pub(crate) async fn take_down(self) -> Result<()> {
        clear(&self.folder).await
    }
}

/// Waits until one of the programs ends that this run started and has not ended itself; of several
/// the one that was started first, as the others may have ended for want of it.
async fn first_ended(
    state: &State,
    children: &mut BTreeMap<String, Child>,
) -> Result<(String, ExitStatus)> {
    poll_fn(|context| {
        for Recorded { name, .. } in &state.processes {
            let Some(child) = children.get_mut(name) else {
                continue;
            };
            if let Poll::Ready(status) = pin!(child.wait()).poll(context) {
                let status = status.with_context(|| format!("cannot look after {name}"));
                return Poll::Ready(status.map(|status| (name.clone(), status)));
            }
        }
        Poll::Pending
    })
    .await
}

fn shell_file(folder: &Path) -> PathBuf {
    folder.join("env")
}

/// The end of a log, for messages.
fn tail(log: &Path) -> String {
    format!("{} ends with\n{}", log.display(), files::tail(log, 15))
}

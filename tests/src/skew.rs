//! A network whose programs are of two versions: this one, and the previous release's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::eventually::SOON;
use crate::live::Live;
use crate::network::{agent_of, server_of};
use crate::ports::free_port;
use crate::program::Program;
use crate::settings::variable;
use crate::tools::{Said, said};

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The previous release's.
    Previous,
    /// This one's.
    Present,
}

impl Version {
    fn folder(self) -> Result<PathBuf> {
        match self {
            Self::Previous => std::env::var_os("HULY_TEST_PREVIOUS")
                .map(PathBuf::from)
                .context("this test needs the previous release: cargo xtask test skew"),
            Self::Present => variable("HULY_BIN"),
        }
    }
}

/// A network server and agents, without Kubernetes. Dropped, they are killed.
#[derive(Debug)]
pub struct Skewed {
    /// Where the server listens, `host:port`.
    pub address: String,
    /// huly-network.
    pub server: Program,
    /// huly-agent, each under the id that it was given.
    pub agents: Vec<Program>,
    logs: TempDir,
}

impl Skewed {
    /// Starts a server and one agent, `agent-0`.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(server: Version, agent: Version) -> Result<Self> {
        let logs = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut network = Self {
            server: server_of(&server.folder()?, logs.path(), &address, &[])?,
            address,
            agents: Vec::new(),
            logs,
        };
        network.server.start().await?;
        network.add_agent(agent).await?;
        Ok(network)
    }

    /// Starts one more agent, `agent-N`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_agent(&mut self, version: Version) -> Result<()> {
        let number = self.agents.len();
        let programs = version.folder()?;
        let mut agent = agent_of(&programs, self.logs.path(), &self.address, number)?;
        agent.start().await?;
        self.agents.push(agent);
        Ok(())
    }

    /// Kills the server and starts one of that version in its place.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn replace_server(&mut self, version: Version) -> Result<()> {
        self.server.kill().await?;
        self.server.replace(version.folder()?.join("huly-network"));
        self.server.start().await
    }

    /// A client of the present version.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn live(&self) -> Result<Live> {
        Live::connect(&self.address).await
    }

    /// The command line of a version.
    ///
    /// # Errors
    /// When there is none.
    pub fn cli(&self, version: Version) -> Result<Cli> {
        Ok(Cli {
            path: version.folder()?.join("huly"),
            address: self.address.clone(),
        })
    }

    /// Where the programs' logs are, kept for whoever looks into a failure.
    pub fn keep_logs(self) -> PathBuf {
        let Self { logs, .. } = self;
        logs.keep()
    }
}

/// `huly`, as the client of its version.
#[derive(Debug, Clone)]
pub struct Cli {
    path: PathBuf,
    address: String,
}

impl Cli {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(&self.path));
        command
            .args(["--network", &self.address, "--output", "json"])
            .args(arguments);
        command
    }

    /// What it says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn says(&self, arguments: &[&str]) -> Result<Said> {
        said(self.command(arguments)).await
    }

    /// The JSON value that it prints.
    ///
    /// # Errors
    /// When it fails: with what it says.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let said = self.says(arguments).await?;
        ensure!(said.success, "huly {}: {said:?}", arguments.join(" "));
        Ok(serde_json::from_str(&said.stdout)?)
    }

    /// Starts a command that goes on: a get that holds, a watch. Dropped, it is killed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(&self, arguments: &[&str]) -> Result<Lines> {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        Ok(Lines {
            lines: BufReader::new(output).lines(),
            child,
        })
    }
}

/// What a command prints that goes on.
#[derive(Debug)]
pub struct Lines {
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    child: Child,
}

impl Lines {
    /// The next line.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn next(&mut self) -> Result<String> {
        let line = timeout(SOON, self.lines.next_line()).await;
        line.context("nothing was printed soon")??
            .context("the output ended")
    }

    /// Ends the command at once: its session ends by silence.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill huly")
    }
}

//! The network server, two agents and the operator as plain processes.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Environment;
use super::ports::AgentPorts;
use crate::command::Program;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;

/// The name of the network server among the processes.
pub(crate) const NETWORK: &str = "huly-network";

/// The name of the operator among the processes.
pub(crate) const OPERATOR: &str = "huly-operator";

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent of the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agent {
    /// Its name among the processes and its id in the network.
    pub(crate) name: &'static str,
    node: &'static str,
    zone: &'static str,
}

/// The agents, each as on a node of its own.
pub(crate) const AGENTS: [Agent; 2] = [
    Agent {
        name: "agent-a",
        node: "node-a",
        zone: "a",
    },
    Agent {
        name: "agent-b",
        node: "node-b",
        zone: "b",
    },
];

impl Environment {
    /// The network server's address, for clients.
    pub(crate) fn network_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports().network)
    }

    /// Starts the network server and waits until it listens.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub(crate) async fn start_network(&mut self, programs: &HulyPrograms) -> Result<()> {
        let http = self.ports().network_http;
        let program = own(programs.network()).arguments([
            "--listen".to_owned(),
            self.network_address(),
            "--http".to_owned(),
            format!("127.0.0.1:{http}"),
            "--control-secret-file".to_owned(),
            self.keys.control_secret().display().to_string(),
        ]);
        self.start(NETWORK, &program)?;
        self.await_ready(NETWORK, PATIENCE, || ready(http)).await
    }

    /// Starts the agents and waits until each is registered.
    ///
    /// # Errors
    /// When one ends or is not ready in time.
    pub(crate) async fn start_agents(&mut self, programs: &HulyPrograms) -> Result<()> {
        for agent in AGENTS {
            self.start_agent(agent.name, programs).await?;
        }
        Ok(())
    }

    /// Starts one agent and waits until it is registered.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub(crate) async fn start_agent(&mut self, name: &str, programs: &HulyPrograms) -> Result<()> {
        let (agent, ports) = AGENTS
            .into_iter()
            .zip(self.ports().agents)
            .find(|(agent, _)| agent.name == name)
            .with_context(|| format!("there is no agent {name}"))?;
        let network = self.network_address();
        self.start(agent.name, &agent_program(programs, &network, agent, ports))?;
        self.await_ready(agent.name, PATIENCE, || ready(ports.http))
            .await
    }

    /// Starts the operator with its role and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub(crate) async fn start_operator(
        &mut self,
        go: &GoPrograms,
        programs: &HulyPrograms,
    ) -> Result<()> {
        self.apply_operator_role(go, programs).await?;
        let http = self.ports().operator_http;
        let program = own(programs.operator())
            .variable("KUBECONFIG", self.keys.operator_kubeconfig())
            .arguments([
                "--network".to_owned(),
                self.network_address(),
                "--control-secret-file".to_owned(),
                self.keys.control_secret().display().to_string(),
                // Started again, it waits for nobody's Lease.
                "--identity".to_owned(),
                OPERATOR.to_owned(),
                "--http".to_owned(),
                format!("127.0.0.1:{http}"),
            ]);
        self.start(OPERATOR, &program)?;
        self.await_ready(OPERATOR, PATIENCE, || ready(http)).await
    }
}

fn agent_program(
    programs: &HulyPrograms,
    network: &str,
    agent: Agent,
    ports: AgentPorts,
) -> Program {
    own(programs.agent()).arguments([
        "--id",
        agent.name,
        "--network",
        network,
        "--listen",
        &format!("127.0.0.1:{}", ports.listen),
        "--advertise",
        &format!("127.0.0.1:{}", ports.listen),
        "--http",
        &format!("127.0.0.1:{}", ports.http),
        "--node",
        agent.node,
        "--label",
        &format!("zone={}", agent.zone),
    ])
}

/// One of the workspace's own programs, untouched by the caller's settings for others.
fn own(path: impl Into<std::path::PathBuf>) -> Program {
    Program::new(path).without_variables(&["HULY_"])
}

/// Asks a program's `/readyz`; an answer other than 200 says what it waits for.
async fn ready(port: u16) -> Result<()> {
    ready_at(format!("http://127.0.0.1:{port}/readyz")).await
}

/// As [`ready`], at any address.
pub(super) async fn ready_at(url: String) -> Result<()> {
    let asked = tokio::task::spawn_blocking(move || -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(2)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.get(url).call()?;
        if answer.status() != 200 {
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            bail!("it waits for {}", body.trim());
        }
        Ok(())
    });
    asked.await.context("the question was cut off")?
}

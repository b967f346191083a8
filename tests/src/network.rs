//! A network of a test's own: server, agents, operator.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::api_proxy::ApiProxy;
use crate::eventually::eventually;
use crate::ports::free_port;
use crate::program::Program;
use crate::settings::Settings;

/// What a network consists of when a test begins.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// How many agents there are, each as on a node of its own.
    pub agents: usize,
    /// How many of them are started at once; a test may start the others.
    pub started: usize,
    /// Whether a [`Load`](crate::Load) uses it.
    pub loaded: bool,
}

impl Layout {
    /// So many agents, all started.
    pub fn agents(agents: usize) -> Self {
        Self {
            agents,
            started: agents,
            loaded: false,
        }
    }

    /// Starts only the first of the agents.
    pub fn started(self, started: usize) -> Self {
        Self { started, ..self }
    }

    /// With a [`Load`](crate::Load) from before the story on, which is looked at when it is over.
    pub fn loaded(self) -> Self {
        Self {
            loaded: true,
            ..self
        }
    }
}

/// The processes of a network. Dropped, they are killed.
#[derive(Debug)]
pub struct Network {
    /// What claims and kinds call it: `networkName`.
    pub name: String,
    /// Where its server listens, `host:port`.
    pub address: String,
    /// The file with the control secret.
    pub control_secret: PathBuf,
    /// huly-network.
    pub server: Program,
    /// huly-agent, several times. The first is `agent-0` on `node-0` with the label `zone=0`.
    pub agents: Vec<Program>,
    /// huly-operator, with the identity `operator`.
    pub operator: Program,
    making: Making,
}

/// What programs of a network are made with.
#[derive(Debug)]
struct Making {
    settings: Settings,
    folder: PathBuf,
}

impl Making {
    fn operator(
        &self,
        network: &str,
        address: &str,
        control_secret: &Path,
        identity: &str,
        more: &[(&str, &str)],
    ) -> Result<Program> {
        let (http, http_flags) = http()?;
        let secret = control_secret.display().to_string();
        let flags = [
            ("--network", address),
            ("--network-name", network),
            ("--control-secret-file", &secret),
            // Started again, it waits for nobody's Lease.
            ("--identity", identity),
        ];
        let operator = Program::new(
            &format!("huly-{identity}"),
            self.settings.programs.join("huly-operator"),
            &self.folder,
            http,
            arguments(&[&flags, more].concat(), http_flags),
        );
        Ok(operator.variable("KUBECONFIG", self.settings.operator_kubeconfig.clone()))
    }
}

impl Network {
    /// Starts it; its files and logs go to `folder`.
    pub(crate) async fn start(
        name: &str,
        layout: Layout,
        settings: &Settings,
        folder: &Path,
    ) -> Result<Self> {
        let control_secret = folder.join("control-secret");
        fs::write(&control_secret, format!("{:032x}", rand::random::<u128>()))
            .with_context(|| format!("cannot write {}", control_secret.display()))?;
        let secret = control_secret.display().to_string();
        let address = format!("127.0.0.1:{}", free_port()?);

        let flags = [
            ("--network-name", name),
            ("--control-secret-file", secret.as_str()),
        ];
        let server = server_of(&settings.programs, folder, &address, &flags)?;

        let making = Making {
            settings: settings.clone(),
            folder: folder.to_owned(),
        };
        let operator = making.operator(name, &address, &control_secret, "operator", &[])?;

        let agents = (0..layout.agents)
            .map(|number| agent_of(&settings.programs, folder, &address, number))
            .collect::<Result<Vec<_>>>()?;
        let mut network = Self {
            name: name.to_owned(),
            address,
            control_secret,
            server,
            agents,
            operator,
            making,
        };
        network.server.start().await?;
        network.operator.spawn()?;
        for agent in &mut network.agents[..layout.started] {
            agent.spawn()?;
        }
        for agent in &mut network.agents[..layout.started] {
            agent.await_ready().await?;
        }
        network.operator.await_ready().await?;
        Ok(network)
    }

    /// A proxy between the operator and the API server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn api_proxy(&self) -> Result<ApiProxy> {
        ApiProxy::start(&self.making.settings.operator_kubeconfig).await
    }

    /// Another operator, not started: its identity, and flags more.
    ///
    /// # Errors
    /// When no port is free.
    pub fn another_operator(&self, identity: &str, flags: &[(&str, &str)]) -> Result<Program> {
        let (name, address) = (&self.name, &self.address);
        let secret = &self.control_secret;
        self.making.operator(name, address, secret, identity, flags)
    }

    /// Waits until the server no longer expects agents to bring containers of before its start.
    ///
    /// # Errors
    /// When it does after 10 s.
    pub async fn settled(&self) -> Result<()> {
        eventually(
            Duration::from_secs(10),
            "the server has settled",
            async || {
                let metrics = self.server.metrics().await?;
                let settling = metrics.sum("huly_network_settling", &[])?;
                ensure!(settling == 0.0, "it is settling");
                Ok(())
            },
        )
        .await
    }

    /// The agent of that id.
    ///
    /// # Errors
    /// When there is none.
    pub fn agent(&mut self, id: &str) -> Result<&mut Program> {
        let number = id
            .strip_prefix("agent-")
            .and_then(|number| number.parse::<usize>().ok());
        number
            .and_then(|number| self.agents.get_mut(number))
            .with_context(|| format!("there is no agent {id}"))
    }
}

/// A network server that listens at `address`.
pub(crate) fn server_of(
    programs: &Path,
    folder: &Path,
    address: &str,
    flags: &[(&str, &str)],
) -> Result<Program> {
    let (http, http_flags) = http()?;
    let flags = [&[("--listen", address)], flags].concat();
    let name = "huly-network";
    Ok(program(programs, folder, name, http, &flags, http_flags))
}

/// An agent, `agent-N` on `node-N` with the label `zone=N`.
pub(crate) fn agent_of(
    programs: &Path,
    folder: &Path,
    network: &str,
    number: usize,
) -> Result<Program> {
    let (http, http_flags) = http()?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let name = format!("agent-{number}");
    let flags = [
        ("--id", name.as_str()),
        ("--network", network),
        ("--listen", &listen),
        ("--advertise", &listen),
        ("--node", &format!("node-{number}")),
        ("--label", &format!("zone={number}")),
    ];
    Ok(Program::new(
        &name,
        programs.join("huly-agent"),
        folder,
        http,
        arguments(&flags, http_flags),
    ))
}

fn program(
    programs: &Path,
    folder: &Path,
    name: &str,
    http: u16,
    flags: &[(&str, &str)],
    http_flags: [String; 2],
) -> Program {
    Program::new(
        name,
        programs.join(name),
        folder,
        http,
        arguments(flags, http_flags),
    )
}

fn http() -> Result<(u16, [String; 2])> {
    let port = free_port()?;
    Ok((port, ["--http".to_owned(), format!("127.0.0.1:{port}")]))
}

fn arguments(flags: &[(&str, &str)], more: [String; 2]) -> Vec<String> {
    flags
        .iter()
        .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()])
        .chain(more)
        .collect()
}

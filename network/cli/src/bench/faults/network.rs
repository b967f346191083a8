//! A network of its own: a server, agents, and relays to cut between them and the clients.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use huly_client::Client;
use huly_protocol::AgentInfo;
use huly_relay::Relay;
use tokio::time::{Instant, interval, sleep};

use super::process::Process;

/// How long a program may take to be there, or to be gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the server is asked for that.
const ASK: Duration = Duration::from_millis(25);
/// How often is looked whether all programs run.
const LOOK: Duration = Duration::from_millis(100);

/// The programs of a network.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) network: PathBuf,
    pub(crate) agent: PathBuf,
}

/// An agent, with the ways to it.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) process: Process,
    /// From the agent to the server.
    pub(crate) to_server: Relay,
    /// From clients to the agent.
    pub(crate) direct: Relay,
}

/// A running network. Dropped, everything is killed.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) server: Process,
    pub(crate) agents: Vec<Agent>,
    /// From clients to the server.
    pub(crate) clients: Relay,
    /// A client that looks, by a way that is never cut.
    observer: Client,
}

impl Network {
    /// Starts it, and returns when all agents are known.
    ///
    /// # Errors
    /// When something does not start.
    pub(crate) async fn start(
        programs: &Programs,
        agents: usize,
        latency: Duration,
        logs: &Path,
    ) -> Result<Self> {
        let address = free_address()?;
        let flags = [("--listen", address.to_string())];
        let server = process("huly-network", &programs.network, &flags, logs);
        let observer = Client::builder(address.to_string()).build();
        let mut network = Self {
            server,
            agents: Vec::new(),
            clients: relay(address, latency).await?,
            observer,
        };
        network.start_server().await?;
        for number in 0..agents {
            let listen = free_address()?;
            let to_server = relay(address, latency).await?;
            let direct = relay(listen, latency).await?;
            let name = format!("agent-{number}");
            let flags = [
                ("--id", name.clone()),
                ("--network", to_server.address().to_string()),
                ("--listen", listen.to_string()),
                ("--advertise", direct.address().to_string()),
            ];
            network.agents.push(Agent {
                process: process(&name, &programs.agent, &flags, logs),
                to_server,
                direct,
            });
        }
        for number in 0..agents {
            network.start_agent(number).await?;
        }
        Ok(network)
    }

    /// Waits for something while its programs run.
    ///
    /// # Errors
    /// When one has ended meanwhile that nobody ended here: what became of requests would say nothing
    /// of the fault.
    pub(crate) async fn during<T>(&mut self, it: impl Future<Output = T>) -> Result<T> {
        let mut it = pin!(it);
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                done = &mut it => return Ok(done),
                _ = look.tick() => {}
            }
            let agents = self.agents.iter_mut().map(|agent| &mut agent.process);
            for process in agents.chain([&mut self.server]) {
                if let Some(died) = process.died()? {
                    bail!(died);
                }
            }
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> String {
        self.clients.address().to_owned()
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn start_server(&mut self) -> Result<()> {
        self.server.start()?;
        let end = Instant::now() + PATIENCE;
        while self.observer.ready_within(ASK).await.is_err() {
            self.server.still_runs()?;
            if Instant::now() >= end {
                bail!("the network server does not answer");
            }
        }
        Ok(())
    }

    /// Starts an agent that does not run, and waits until the server knows it.
    ///
    /// # Errors
    /// When it does not register.
    pub(crate) async fn start_agent(&mut self, number: usize) -> Result<()> {
        // The one before it may still be known.
        self.until_known(number, false).await?;
        let agent = self.agents.get_mut(number).context("no such agent")?;
        agent.process.start()?;
        self.until_known(number, true).await
    }

    /// The agents that the server knows.
    async fn known(&mut self) -> Result<Vec<AgentInfo>> {
        let observer = self.observer.clone();
        Ok(self.during(observer.agents()).await??)
    }

    async fn until_known(&mut self, number: usize, known: bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let agent = self.agents.get_mut(number).context("no such agent")?;
            let name = agent.process.name.clone();
            let agents = self.known().await?;
            if agents.iter().any(|agent| agent.agent_id == name) == known {
                return Ok(());
            }
            if Instant::now() >= end {
                let what = if known { "not known" } else { "still known" };
                bail!("the network server has {name} {what}");
            }
            sleep(ASK).await;
        }
    }

    /// The agent that has the most containers: its loss is felt.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) async fn busiest(&mut self) -> Result<usize> {
        let agents = self.known().await?;
        let busiest = agents.iter().max_by_key(|agent| agent.containers);
        let name = busiest.map(|agent| agent.agent_id.as_str());
        let number = |it: &Agent| Some(it.process.name.as_str()) == name;
        let found = self.agents.iter().position(number);
        found.context("the network server knows no agent")
    }

    /// Waits until nobody holds a container; returns how many references are left at the end of that
    /// time.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) async fn references_left(&mut self, patience: Duration) -> Result<u32> {
        let end = Instant::now() + patience;
        loop {
            let observer = self.observer.clone();
            let containers = self.during(observer.containers(None)).await??;
            let held = containers
                .iter()
                .filter_map(|it| it.huly.as_ref()?.references);
            let left = held.sum();
            if left == 0 || Instant::now() >= end {
                return Ok(left);
            }
            sleep(ASK).await;
        }
    }
}

async fn relay(target: SocketAddr, latency: Duration) -> Result<Relay> {
    let relay = Relay::far(&target.to_string(), latency).await;
    relay.context("there is no free port for a relay")
}

fn process(name: &str, program: &Path, flags: &[(&str, String)], logs: &Path) -> Process {
    let http = ("--http", "127.0.0.1:0".to_owned());
    let flags = flags.iter().chain([&http]);
    let arguments = flags.flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
    Process::new(name.to_owned(), program, arguments.collect(), logs)
}

/// A port that nobody listens on, below those that systems hand out to outgoing connections: a
/// program that is ended for a moment finds it free again.
fn free_address() -> Result<SocketAddr> {
    for _ in 0..1_000 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(10_000..20_000)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("there is no free port from 10000 to 20000")
}

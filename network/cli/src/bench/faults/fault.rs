//! What is done to a network.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use huly_relay::Cable;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::book::Book;
use super::network::Network;
use super::report::Broken;

/// How long all clients may take to be answered again.
const PATIENCE: Duration = Duration::from_secs(90);
/// From one cut of connections to the next.
const BETWEEN_CUTS: Duration = Duration::from_millis(500);

/// Something that goes wrong in a network, the parts of the script in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Nothing goes wrong
    Steady,
    /// An agent is killed; another is started in its place once all is well
    AgentKilled,
    /// An agent is told to end (SIGTERM); another is started in its place once all is well
    AgentEnded,
    /// An agent is frozen (SIGSTOP) for the pause, then goes on
    AgentFrozen,
    /// Nothing goes through between an agent and the server for the pause
    AgentCutOff,
    /// One agent after the other is told to end and started again
    AgentsRestarted,
    /// The server is killed and started again
    ServerKilled,
    /// The server is frozen for the pause, then goes on
    ServerFrozen,
    /// The server and an agent are killed; the server is started again, then an agent
    ServerAndAgentKilled,
    /// Twice a second for the pause all connections of clients are cut, to the server and to agents
    ConnectionsCut,
    /// Nothing goes through between clients and the server for the pause
    ClientsCutOff,
}

impl Fault {
    /// What it is called on the command line and in tables.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Does it, and returns how long after the last deed every client was answered again what it
    /// asked after it.
    ///
    /// # Errors
    /// When it cannot be done, a program ends by itself, or not all clients are answered again.
    pub(crate) async fn run(
        self,
        network: &mut Network,
        book: &Book,
        pause: Duration,
    ) -> Result<Duration> {
        match self {
            Self::Steady => {}
            Self::AgentKilled | Self::AgentEnded => {
                let number = network.busiest().await?;
                let process = &mut agent(network, number)?.process;
                match self {
                    Self::AgentKilled => process.kill().await?,
                    _ => process.end().await?,
                }
                let again = all_answered(network, book).await?;
                network.start_agent(number).await?;
                return Ok(again);
            }
            Self::AgentFrozen => {
                let number = network.busiest().await?;
                agent(network, number)?.process.freeze()?;
                network.during(sleep(pause)).await?;
                agent(network, number)?.process.thaw()?;
            }
            Self::AgentCutOff => {
                let number = network.busiest().await?;
                agent(network, number)?.to_server.set(Cable::STALLED);
                network.during(sleep(pause)).await?;
                agent(network, number)?.to_server.set(Cable::WHOLE);
            }
            Self::AgentsRestarted => return restart_all(network, book).await,
            Self::ServerKilled => {
                network.server.kill().await?;
                network.server.start()?;
            }
            Self::ServerFrozen => {
                network.server.freeze()?;
                network.during(sleep(pause)).await?;
                network.server.thaw()?;
            }
            Self::ServerAndAgentKilled => {
                let number = network.busiest().await?;
                network.server.kill().await?;
                agent(network, number)?.process.kill().await?;
                network.server.start()?;
                let again = all_answered(network, book).await?;
                network.start_agent(number).await?;
                return Ok(again);
            }
            Self::ConnectionsCut => {
                let end = Instant::now() + pause;
                while Instant::now() < end {
                    network.clients.cut();
                    for agent in &network.agents {
                        agent.direct.cut();
                    }
                    network.during(sleep(BETWEEN_CUTS)).await?;
                }
            }
            Self::ClientsCutOff => {
                network.clients.set(Cable::STALLED);
                network.during(sleep(pause)).await?;
                network.clients.set(Cable::WHOLE);
            }
        }
        all_answered(network, book).await
    }
}

/// Returns the longest that it took after one of them.
async fn restart_all(network: &mut Network, book: &Book) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for number in 0..network.agents.len() {
        agent(network, number)?.process.end().await?;
        network.start_agent(number).await?;
        longest = longest.max(all_answered(network, book).await?);
    }
    Ok(longest)
}

async fn all_answered(network: &mut Network, book: &Book) -> Result<Duration> {
    let answered = timeout(PATIENCE, book.all_answered(Instant::now()));
    match network.during(answered).await? {
        Ok(took) => Ok(took),
        Err(_) => {
            let broken = format!("not all clients were answered again within {PATIENCE:?}");
            bail!(Broken(vec![broken]))
        }
    }
}

fn agent(network: &mut Network, number: usize) -> Result<&mut super::network::Agent> {
    network.agents.get_mut(number).context("no such agent")
}

//! Timeouts by environment: in production what a dead client held is soon given back; in development
//! a client may stand still in a debugger and go on.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use clap::Parser;
use futures::{Stream, StreamExt};
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerError, HostPort, Json, Kinds, answer,
};
use huly_client::protocol::EventKind;
use huly_client::{Client, ClientBuilder, ContainerRef, Update};
use tokio::runtime::{Builder, Runtime};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

/// After how long a silence the network forgets a client.
fn alive_timeout(environment: &str) -> Duration {
    match environment {
        "production" => Duration::from_secs(1),
        "development" => Duration::from_secs(3_600),
        _ => ClientBuilder::ALIVE_TIMEOUT,
    }
}

/// Counts how often it was visited, as long as it lives.
#[derive(Default)]
struct Session {
    visits: AtomicU32,
}

impl Container for Session {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "visit" => answer(&(self.visits.fetch_add(1, Relaxed) + 1)),
            _ => Err(call.unknown(&["visit"])),
        }
    }
}

/// A client that can be halted: it runs only while its own runtime does something.
struct User {
    environment: &'static str,
    runtime: Runtime,
    client: Client,
    session: ContainerRef,
}

impl User {
    fn new(network: &str, environment: &'static str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (client, session) = runtime.block_on(async {
            let timeout = alive_timeout(environment);
            let client = Client::builder(network).alive_timeout(timeout).build();
            let session = client.get("session").uuid(environment).await?;
            anyhow::Ok((client, session))
        })?;
        Ok(Self {
            environment,
            runtime,
            client,
            session,
        })
    }

    fn visit(&self) -> Result<()> {
        let visit: u32 = self.runtime.block_on(async {
            // What the network forgot is got again by the client itself.
            self.session.request("visit", &()).idempotent().await
        })?;
        println!("{}: visit {visit}", self.environment);
        Ok(())
    }
}

/// Waits until the container of a uuid has ended.
async fn ended(updates: &mut (impl Stream<Item = Update> + Unpin), uuid: &str) -> Result<()> {
    loop {
        let update = updates.next().await.context("the client was closed")?;
        if let Update::Event(happened) = update {
            let mut containers = happened.containers.iter();
            if containers.any(|it| it.container.uuid == uuid && it.event == EventKind::Removed) {
                return Ok(());
            }
        }
    }
}

fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let runtime = Runtime::new()?;
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let kinds = Kinds::new().serve("session", |_| async { Ok(Session::default()) });
    let agent = AgentHandle::start(options, kinds)?;
    runtime.block_on(agent.ready_within(Duration::from_secs(10)))?;
    let monitor = runtime.block_on(async { Client::builder(&network).build() });
    let mut updates = monitor.updates();

    let users: Vec<User> = ["development", "staging", "production"]
        .into_iter()
        .map(|environment| User::new(&network, environment))
        .collect::<Result<_>>()?;
    users.iter().try_for_each(User::visit)?;

    // None of their runtimes does anything now: the clients are silent, as in a debugger.
    println!("all stand still");
    for environment in ["production", "staging"] {
        runtime.block_on(ended(&mut updates, environment))?;
        println!("the session of {environment} has ended");
    }
    for session in runtime.block_on(monitor.containers(Some("session")))? {
        println!("there is still the session of {}", session.uuid);
    }

    println!("all go on");
    users.iter().try_for_each(User::visit)?;

    for user in users {
        user.runtime.block_on(user.client.close());
    }
    runtime.block_on(monitor.close());
    runtime.block_on(agent.leave())
}

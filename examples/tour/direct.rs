//! Direct connections: requests that do not pass through the network server.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::time::Duration;

use anyhow::{Error, Result};
use clap::Parser;
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerError, HostPort, Json, Kinds, answer,
};
use huly_client::protocol::Endpoint;
use huly_client::{Client, Connection};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

struct Square;

impl Container for Square {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "square" => {
                let number: i64 = call.read()?;
                answer(&number.saturating_mul(number))
            }
            _ => Err(call.unknown(&["square"])),
        }
    }
}

async fn square(connection: &Connection, number: i64) -> Result<()> {
    let squared: i64 = connection.request("square", &number).await?;
    // Should the direct way be cut, requests go through the server until it is back.
    let way = if connection.is_direct() {
        "directly"
    } else {
        "through the server"
    };
    println!("{way}: {squared}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let kinds = Kinds::new()
        // Clients reach it through the agent's own ROUTER, which serves all of its containers.
        .serve("square", |_| async { Ok(Square) })
        // Each container of this kind listens itself, on a port of its own.
        .serve_direct("busy-square", |_| async { Ok(Square) });
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let agent = AgentHandle::start(options, kinds)?;
    agent.ready_within(Duration::from_secs(10)).await?;
    let client = Client::builder(&network).build();

    // Through the network server: right for a question now and then.
    let container = client.get("square").uuid("nine").await?;
    let squared: i64 = container.request("square", &3).await?;
    println!("through the server: {squared}");

    // Directly: one hop less for every request; the container's events come this way, too.
    let connection = container.connect().await?;
    square(&connection, 4).await?;
    square(&connection, 5).await?;

    // The same with a container that listens itself.
    let busy = client.get("busy-square").uuid("ten").await?;
    let own = busy.connect().await?;
    square(&own, 6).await?;
    let port = Endpoint::parse(&busy.endpoint())?.port;
    println!(
        "it has a port of its own: {}",
        port != agent.address().port()
    );

    own.close().await;
    connection.close().await;
    client.close().await;
    agent.leave().await
}

//! Errors: what may be tried again is, after pauses that grow.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Error, Result};
use backon::{ExponentialBuilder, Retryable};
use clap::Parser;
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerError, ErrorCode, HostPort, Json, Kinds,
    answer,
};
use huly_client::{Client, ContainerRef};
use serde_json::Value;
use tokio::sync::Notify;

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

/// Is overloaded at first.
#[derive(Default)]
struct Unreliable {
    calls: AtomicU32,
    ends: Notify,
}

impl Container for Unreliable {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        match call.operation.as_str() {
            // `Busy` says that it did nothing: the same may be asked again.
            "process" if number < 4 => {
                let message = "too much to do";
                Err(ContainerError::with_code(ErrorCode::Busy, message))
            }
            "process" => answer(&format!("processed at call {number}")),
            // An error of its own: the same would fail again.
            "divide" => Err(ContainerError::new("division by zero")),
            // Takes as long as the container lives.
            "wait" => answer(&self.ends.notified().await),
            _ => Err(call.unknown(&["process", "divide", "wait"])),
        }
    }

    async fn stop(&self) {
        self.ends.notify_waiters();
    }
}

/// Asks, and asks again where the error says that this may help.
async fn ask(service: &ContainerRef, operation: &str) -> Result<Value, huly_client::Error> {
    // In production add `.with_jitter()`, so that clients do not come all at once.
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_times(5);
    let once = || async {
        let request = service.request(operation, &());
        request.deadline(Duration::from_secs(1)).await
    };
    once.retry(pauses)
        .when(huly_client::Error::is_retryable)
        .notify(|error, pause| {
            let pause = pause.as_millis();
            println!("{operation}: {:?}, again in {pause} ms", error.kind);
        })
        .await
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let client = Client::builder(&network).build();

    // Nobody serves the kind yet.
    if let Err(error) = client.get("unreliable").await {
        println!("get: {:?}", error.kind);
    }
    let kinds = Kinds::new().serve("unreliable", |_| async { Ok(Unreliable::default()) });
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let agent = AgentHandle::start(options, kinds)?;
    agent.ready_within(Duration::from_secs(10)).await?;

    let service = client.get("unreliable").await?;
    for operation in ["process", "divide", "wait", "dance"] {
        match ask(&service, operation).await {
            Ok(answer) => println!("{operation}: {answer}"),
            // A program would tell its own caller, or an operator.
            Err(error) => println!("{operation}: {:?}, given up: {}", error.kind, error.message),
        }
    }

    client.close().await;
    agent.leave().await
}

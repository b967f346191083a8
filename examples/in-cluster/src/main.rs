//! A program in a Pod that uses the network of its cluster: it counts its visits.

use anyhow::{Context, Result};
use huly_client::Client;
use serde_json::{Value, json};

// The allocator of musl, which images are built for, is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = std::env::var("HULY_NETWORK")
        .context("HULY_NETWORK has to say where the network server is, HOST:PORT")?;
    let client = Client::builder(server).build();

    // Which container counts: the first argument may name another.
    let uuid = std::env::args().nth(1);
    let uuid = uuid.as_deref().unwrap_or("visits");
    let visits = client.get("counter").uuid(uuid).await?;
    let count: Value = visits.request("increment", &json!({ "by": 1 })).await?;
    report(&format!("visit {}", count["value"]));
    report(&format!("{} lives at {}", visits.uuid(), visits.endpoint()));

    visits.release().await?;
    client.close().await;
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a program's output is its log")]
fn report(line: &str) {
    println!("{line}");
}

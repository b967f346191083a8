//! A load for benchmarks: holds containers, or sends them requests at a steady rate.

mod hold;
mod send;

use anyhow::Result;
use clap::{Parser, Subcommand};
use huly_client::Client;

// The allocator of musl, which images are built for, is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A load for benchmarks.
#[derive(Parser)]
struct Arguments {
    /// The network server, host:port
    #[arg(long)]
    network: String,
    /// The kind of the containers, as the wire calls it
    #[arg(long, default_value = "echo")]
    kind: String,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Gets this many new containers, says when it has them, and holds them until it is ended
    Hold {
        #[arg(long)]
        count: usize,
    },
    /// Sends requests of 64 bytes to all containers of the kind in turn, and says what they came to
    Send {
        /// Requests in a second, however long answers take
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        rate: u32,
        /// For so long
        #[arg(long)]
        seconds: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = Client::builder(arguments.network).build();
    match arguments.load {
        Load::Hold { count } => hold::hold(&client, &arguments.kind, count).await,
        Load::Send { rate, seconds } => {
            let outcome = send::send(&client, &arguments.kind, rate, seconds).await?;
            report(&outcome.to_string());
            client.close().await;
            Ok(())
        }
    }
}

#[allow(clippy::print_stdout, reason = "this is what it is called for")]
fn report(line: &str) {
    println!("{line}");
}

//! Command line of the Huly network: what lives where, and requests to containers by hand.

mod args;
mod bench;
mod call;
mod failure;
mod list;
mod output;
mod watch;

use std::process::ExitCode;

use huly_client::Client;
use huly_program::{init_tracing, shutdown_signal};

use crate::args::{Args, Command};
use crate::failure::Complaint;

/// Runs the command line; `name` is how it was called.
///
/// Exits with 0, with 1 after a failure, with 2 for wrong usage, with 3 when a request may or may not
/// have run, with 4 when a benchmark saw that a promise was broken. What failed is on standard error,
/// and below it what to do about it; with `-o json` both are one JSON object.
pub fn main(name: &'static str) -> ExitCode {
    let mut shape = Args::shape(name);
    let matches = shape.get_matches_mut();
    let args = match Args::read(&matches) {
        Ok(args) => args,
        Err(error) => error.format(&mut shape).exit(),
    };
    let output = args.output;
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&Complaint::about(&error, name), output);
            failure::code(&error).into()
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    init_tracing(&args.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut shutdown = shutdown_signal()?;
        if let Command::Bench(bench) = &args.command {
            return bench::run(bench, args.output, &mut shutdown).await;
        }
        let client = Client::builder(args.network.as_str())
            .request_timeout(args.timeout)
            .build();
        let connected = async {
            tokio::time::timeout(args.timeout, client.ready())
                .await
                .map_err(|_| {
                    anyhow::anyhow!(
                        "no network server answers at {} (--network HOST:PORT names another)",
                        args.network
                    )
                })?;
            dispatch(&client, &args).await
        };
        let outcome = tokio::select! {
            outcome = connected => outcome,
            // Whatever the command holds is released by the close.
            _ = shutdown.recv() => Ok(()),
        };
        client.close().await;
        outcome
    })
}

/// Whether the server is an original (TypeScript) one, which knows no extensions. The client is
/// connected.
fn is_original(client: &Client) -> bool {
    client.session().borrow().server.is_none()
}

async fn dispatch(client: &Client, args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Agents => list::agents(client, args.output).await,
        Command::Kinds => list::kinds(client, args.output).await,
        Command::Containers(find) => list::containers(client, find, args.output).await,
        Command::Get(get) => call::get(client, get, args.output).await,
        Command::Request(request) => call::request(client, request, args).await,
        Command::Watch(watch) => watch::watch(client, watch, args.output).await,
        Command::Bench(_) => anyhow::bail!("a benchmark has a network of its own"),
    }
}

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use huly_program::LogArgs;
use huly_protocol::Json;

use crate::bench::Bench;

/// See what lives where in a Huly network, and talk to its containers.
#[derive(Debug, Clone, Parser)]
#[command(version, arg_required_else_help = true, args_override_self = true)]
pub(crate) struct Args {
    /// The network server, HOST:PORT.
    #[arg(
        long,
        env = "HULY_NETWORK",
        default_value = "127.0.0.1:3737",
        value_parser = address,
        global = true
    )]
    pub(crate) network: String,
    /// How output is written.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    pub(crate) output: Output,
    /// How long to wait for the server and for each answer, in seconds.
    #[arg(long, env = "HULY_TIMEOUT", default_value = "10", value_parser = seconds, global = true)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How output is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For people, with every column.
    Wide,
    /// One JSON value; of a watch, one a line.
    Json,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// List the agents.
    Agents,
    /// List the kinds that agents can host, with their specifications.
    Kinds,
    /// List the containers.
    Containers(Find),
    /// Get a container, and say where it lives.
    ///
    /// The reference is released at the end: a container that nobody else holds then lives for its
    /// idle time. With --hold it is held until Ctrl-C.
    Get(Get),
    /// Send a container a request and print its answer.
    ///
    /// Exits with 3 when it is not known whether the request ran, with 1 when it failed.
    Request(Request),
    /// Print what happens: in the network, or with --container the events of one container.
    Watch(Watch),
    /// Measure what a network does under a load.
    Bench(Bench),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Find {
    /// Only containers of this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Get {
    /// The container kind.
    pub(crate) kind: String,
    /// The container, 1 to 253 characters; without one any that fits, or a new one.
    #[arg(long)]
    pub(crate) uuid: Option<String>,
    /// A container label; may be repeated.
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// A JSON value that is handed to the container at its start.
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) extra: Option<Json>,
    /// Always a new container, never one that is there.
    #[arg(long, conflicts_with = "uuid")]
    pub(crate) new: bool,
    /// Hold it until Ctrl-C.
    #[arg(long)]
    pub(crate) hold: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Request {
    /// The container.
    pub(crate) uuid: String,
    /// What it is asked to do.
    pub(crate) operation: String,
    /// A JSON value that goes with it.
    #[arg(value_name = "JSON", value_parser = json)]
    pub(crate) data: Option<Json>,
    /// Talk to the container's agent directly.
    #[arg(long)]
    pub(crate) direct: bool,
    /// It may run more than once: send it again where it is not known whether it ran.
    #[arg(long)]
    pub(crate) idempotent: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Watch {
    /// Print the events of this container instead.
    #[arg(long, value_name = "UUID")]
    pub(crate) container: Option<String>,
}

fn json(text: &str) -> Result<Json, String> {
    Json::parse(text).map_err(|error| format!("not a JSON value (text needs quotes): {error}"))
}

fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(_) => Ok(text.to_owned()),
        None => Err("HOST:PORT was expected, as 127.0.0.1:3737".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "a number of seconds was expected".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "more than 0 seconds were expected".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_fit_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn text_without_quotes_is_no_json() {
        let error = Args::try_parse_from(["huly", "request", "u", "op", "{a"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("not a JSON value"), "{error}");
    }

    #[test]
    fn an_address_has_a_port() {
        for wrong in ["nonsense", "127.0.0.1", ":3737", "host:port"] {
            let error = Args::try_parse_from(["huly", "--network", wrong, "agents"]).unwrap_err();
            assert!(
                error.to_string().contains("HOST:PORT was expected"),
                "{error}"
            );
        }
    }

    #[test]
    fn flags_may_follow_the_command() {
        let args = Args::try_parse_from(["huly", "get", "echo", "-o", "json", "--network", "h:1"])
            .unwrap();
        assert_eq!((args.output, args.network.as_str()), (Output::Json, "h:1"));
    }
}

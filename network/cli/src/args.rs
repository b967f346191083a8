use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use huly_program::LogArgs;
use huly_protocol::{Json, MAX_NAME_CHARS};

use crate::bench::Bench;

/// What it exits with.
const ENDS: &str = "\
Exits with 0; with 1 when it failed, 2 for wrong usage, 3 when a request may or may not have run, 4 \
when a benchmark saw that a promise was broken. Errors are on standard error; with -o json, but for \
wrong usage, each is an object with \"error\", \"kind\" (as the client crate names it, or null) and \"hint\".";

/// See what lives where in a Huly network, and talk to its containers.
#[derive(Debug, Clone, Parser)]
#[command(version, arg_required_else_help = true, args_override_self = true, after_help = ENDS)]
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
    #[arg(long, env = "HULY_TIMEOUT", default_value = "10", value_parser = seconds, global = true,
          allow_negative_numbers = true)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that say nothing to a benchmark, which has a network of its own.
const NOT_OF_BENCH: [&str; 2] = ["network", "timeout"];

impl Args {
    /// The command line as it is parsed; `name` is how it was called.
    pub(crate) fn shape(name: &'static str) -> clap::Command {
        // Quiet unless told otherwise: what it prints is for people and scripts.
        let command = Self::command().mut_arg("log", |log| log.default_value("error"));
        let flags = command.get_arguments();
        let not_shown: Vec<_> = flags
            .filter(|flag| NOT_OF_BENCH.contains(&flag.get_id().as_str()))
            .map(|flag| flag.clone().hide(true))
            .collect();
        let command = command.mut_subcommand("bench", |bench| bench.args(not_shown));
        command.name(name).bin_name(name)
    }

    /// What was said on the command line.
    ///
    /// # Errors
    /// When flags do not fit together.
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let args = Self::from_arg_matches(matches)?;
        let said = |flag: &&str| matches.value_source(flag) == Some(ValueSource::CommandLine);
        if let Command::Bench(_) = args.command
            && let Some(flag) = NOT_OF_BENCH.into_iter().find(said)
        {
            let mut error = clap::Error::new(ErrorKind::ArgumentConflict);
            let words = [
                (ContextKind::InvalidArg, format!("--{flag}")),
                (ContextKind::PriorArg, "bench".to_owned()),
            ];
            for (kind, word) in words {
                error.insert(kind, ContextValue::String(word));
            }
            return Err(error);
        }
        Ok(args)
    }
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
    ///
    /// With -o wide also how many agents and containers there are of each, their time to start and
    /// to end, which agents are selected, and the revision of the specification.
    Kinds,
    /// List the containers.
    ///
    /// With -o wide also whether each is exclusive by what is specified of its kind (-: nothing is;
    /// one that was placed as exclusive before is so until it ends), its epoch and its endpoint.
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
    ///
    /// In the network first what is there, then what is added, updated and removed; and all that is
    /// there again when something may have been missed, as with a server that was started anew. Of a
    /// container the events that it sends from now on, in all its lives.
    Watch(Watch),
    /// Measure what a network does under a load.
    Bench(Bench),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Find {
    /// Only containers of this kind.
    #[arg(long, value_parser = name)]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Get {
    /// The container kind.
    #[arg(value_parser = name)]
    pub(crate) kind: String,
    /// The container, 1 to 253 characters; without one any that fits, or a new one.
    #[arg(long, value_parser = name)]
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
    #[arg(value_parser = name)]
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
    #[arg(long, value_name = "UUID", value_parser = name)]
    pub(crate) container: Option<String>,
}

fn json(text: &str) -> Result<Json, String> {
    Json::parse(text).map_err(|error| format!("not a JSON value (text needs quotes): {error}"))
}

/// A kind or a uuid.
fn name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=MAX_NAME_CHARS => Ok(text.to_owned()),
        count => Err(format!(
            "1 to {MAX_NAME_CHARS} characters were expected, not {count}"
        )),
    }
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
    use super::*;

    #[test]
    fn wrong_values_are_refused_and_named() {
        let long = "u".repeat(254);
        for (words, what) in [
            (
                &["huly", "get", "room", "--uuid", ""][..],
                "1 to 253 characters",
            ),
            (&["huly", "get", "room", "--uuid", &long], "not 254"),
            (&["huly", "get", ""], "not 0"),
            (&["huly", "request", "", "count"], "1 to 253 characters"),
            (
                &["huly", "--timeout", "-1", "agents"],
                "more than 0 seconds",
            ),
            (&["huly", "bench", "faults", "--clients", "4"], "5..=1000"),
        ] {
            let error = Args::shape("huly").try_get_matches_from(words).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(what), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_flags_fit_together() {
        Args::shape("huly").debug_assert();
    }

    fn read(words: &[&str]) -> Result<Args, clap::Error> {
        Args::shape("huly")
            .try_get_matches_from(words)
            .and_then(|matches| Args::read(&matches))
    }

    #[test]
    fn the_help_of_a_benchmark_has_only_what_it_heeds() {
        for words in [&["huly", "bench"][..], &["huly", "bench", "faults"]] {
            let help = read(&[words, &["--help"]].concat())
                .unwrap_err()
                .to_string();
            for absent in ["--network ", "--timeout"] {
                assert!(!help.contains(absent), "{absent}: {help}");
            }
            assert!(help.contains("--output"), "{help}");
        }
        let help = read(&["huly", "get", "--help"]).unwrap_err().to_string();
        assert!(help.contains("--network ") && help.contains("--timeout"));
    }

    #[test]
    fn a_benchmark_takes_no_network() {
        for (flag, value) in [("--network", "h:1"), ("--timeout", "5")] {
            for words in [
                ["huly", flag, value, "bench", "faults"],
                ["huly", "bench", flag, value, "faults"],
                ["huly", "bench", "faults", flag, value],
            ] {
                let error = read(&words).unwrap_err();
                assert_eq!(error.exit_code(), 2);
                let said = error.to_string();
                assert!(said.contains(flag) && said.contains("bench"), "{said}");
            }
        }
        assert!(read(&["huly", "bench", "faults", "-o", "json"]).is_ok());
        assert!(read(&["huly", "--network", "h:1", "agents"]).is_ok());
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

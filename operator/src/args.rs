use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches, Parser, Subcommand};
use huly_operator_api::DEFAULT_NETWORK;
use huly_program::LogArgs;
use huly_protocol::Secret;
use kube::Client;
use uuid::Uuid;

use crate::election::Terms;

/// The operator of the Huly network: ContainerKinds and ContainerClaims of Kubernetes.
///
/// It finds the Kubernetes API server as kubectl does (KUBECONFIG), or by its Pod's service
/// account.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "huly-operator",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100
)]
pub struct Args {
    // Before the subcommand: it looks whether there is one.
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments say it")]
    pub run: Operating,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the subcommands say it")]
    pub command: Option<Command>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments say it")]
    pub log: LogArgs,
}

/// What it does instead of operating.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Print the custom resource definitions as YAML
    Crds,
    /// Print the roles that the operator and its check need as YAML
    Rbac,
    /// Make a kind and a claim, wait until it is Ready, call its container, delete both
    ///
    /// Each step is printed with the time that it took. What was made is deleted also when a step
    /// fails; the first failure is said, and exits with 1.
    Check(CheckArgs),
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct CheckArgs {
    /// The network server, host:port.
    #[arg(long, env = "HULY_NETWORK", value_parser = address)]
    pub network: String,
    /// Name of the network.
    #[arg(long, env = "HULY_NETWORK_NAME", default_value = DEFAULT_NETWORK)]
    pub network_name: String,
    /// Where the claim is made: the kubeconfig's or the Pod's namespace unless given.
    #[arg(long, env = "HULY_NAMESPACE")]
    pub namespace: Option<String>,
    /// The kind's name on the wire. A ContainerKind of it that is there already is used.
    #[arg(long, env = "HULY_KIND_NAME", default_value = "echo")]
    pub kind_name: String,
    /// How long all steps may take together, in seconds.
    #[arg(long, env = "HULY_TIMEOUT", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub timeout: u64,
}

/// How it operates; nothing if there is a subcommand. The environment may say a part of it then, for
/// programs beside it, and what is missing is not missed.
#[derive(Debug, Clone)]
pub struct Operating(pub Option<RunArgs>);

impl FromArgMatches for Operating {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => Ok(Self(None)),
            None => {
                let run = RunArgs::from_arg_matches(matches)?;
                run.check_terms()?;
                Ok(Self(Some(run)))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Operating {
    fn augment_args(command: clap::Command) -> clap::Command {
        RunArgs::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        RunArgs::augment_args_for_update(command)
    }
}

/// How it operates.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// The network server, host:port.
    #[arg(long, env = "HULY_NETWORK", value_parser = address)]
    pub network: String,
    /// Name of the network: ContainerKinds and ContainerClaims of others are left alone.
    #[arg(long, env = "HULY_NETWORK_NAME", default_value = DEFAULT_NETWORK)]
    pub network_name: String,
    /// File with the secret that the network server lets operators in by.
    #[arg(long, env = "HULY_CONTROL_SECRET_FILE")]
    pub control_secret_file: PathBuf,
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, env = "HULY_HTTP", default_value = "0.0.0.0:9092")]
    pub http: SocketAddr,
    /// Namespace of the Lease by which one of several operators leads: the kubeconfig's or the Pod's
    /// unless given.
    #[arg(long, env = "HULY_NAMESPACE")]
    pub namespace: Option<String>,
    /// Who holds the Lease when this one leads; no two processes at a time have the same. The host's
    /// name and something random unless given.
    #[arg(long, env = "HULY_IDENTITY", value_parser = NonEmptyStringValueParser::new())]
    pub identity: Option<String>,
    /// How long the others wait for a leader that does not renew its Lease, in seconds.
    #[arg(long, env = "HULY_LEASE_SECONDS", default_value_t = 15,
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub lease_seconds: u32,
    /// For how long a leader leads without renewing its Lease, in ms; below the above.
    #[arg(long, env = "HULY_LEASE_RENEW_MS", default_value_t = 10_000)]
    pub lease_renew_ms: u64,
    /// Time between two tries to renew or get the Lease, in ms; below the above.
    #[arg(long, env = "HULY_LEASE_RETRY_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub lease_retry_ms: u64,
}

fn address(text: &str) -> Result<String, String> {
    let wrong = || "it is host:port, the address of the network server".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    match !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) {
        true => Ok(text.to_owned()),
        false => Err(wrong()),
    }
}

impl RunArgs {
    /// Each time of the Lease is longer than the next: else two might lead, or none for long.
    fn check_terms(&self) -> Result<(), clap::Error> {
        let Terms {
            duration,
            renew_deadline,
            retry,
        } = self.terms();
        let (flag, value, other) = if renew_deadline >= duration {
            ("--lease-renew-ms", renew_deadline, "--lease-seconds")
        } else if retry >= renew_deadline {
            ("--lease-retry-ms", retry, "--lease-renew-ms")
        } else {
            return Ok(());
        };
        let value = value.as_millis();
        let why = format!("{flag} {value} is too long: it is below what {other} says\n");
        Err(clap::Error::raw(ErrorKind::ValueValidation, why))
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            duration: Duration::from_secs(self.lease_seconds.into()),
            renew_deadline: Duration::from_millis(self.lease_renew_ms),
            retry: Duration::from_millis(self.lease_retry_ms),
        }
    }

    pub(crate) fn namespace(&self, kube: &Client) -> String {
        let otherwise = || kube.default_namespace().to_owned();
        self.namespace.clone().unwrap_or_else(otherwise)
    }

    pub(crate) fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(|| {
            let host = rustix::system::uname();
            let host = host.nodename().to_string_lossy();
            format!("{host}_{}", Uuid::new_v4())
        })
    }

    pub(crate) fn control_secret(&self) -> anyhow::Result<Secret> {
        let path = &self.control_secret_file;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read --control-secret-file {}", path.display()))?;
        let secret = text.trim();
        anyhow::ensure!(
            !secret.is_empty(),
            "--control-secret-file {} is empty: give the operator the network server's",
            path.display()
        );
        Ok(secret.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: [&str; 5] = [
        "huly-operator",
        "--network",
        "localhost:3737",
        "--control-secret-file",
        "secret",
    ];

    #[test]
    fn what_is_needed_to_run_is_asked_for() {
        let args = Args::try_parse_from(RUN).unwrap();
        let run = args.run.0.unwrap();
        assert_eq!(run.network, "localhost:3737");
        assert_eq!(run.network_name, "default");
        for (left_out, flag) in [(1, "--network"), (3, "--control-secret-file")] {
            let mut argv = RUN.to_vec();
            argv.drain(left_out..left_out + 2);
            let error = Args::try_parse_from(argv).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn printing_needs_nothing() {
        for (name, command) in [("crds", Command::Crds), ("rbac", Command::Rbac)] {
            let args = Args::try_parse_from(["huly-operator", name]).unwrap();
            assert_eq!(args.command, Some(command));
        }
    }

    #[test]
    fn a_check_needs_the_network_alone() {
        let argv = ["huly-operator", "check", "--network", "localhost:3737"];
        let args = Args::try_parse_from(argv).unwrap();
        let Some(Command::Check(check)) = args.command else {
            panic!("no check: {:?}", args.command);
        };
        assert_eq!(check.network, "localhost:3737");
        assert_eq!((check.kind_name.as_str(), check.timeout), ("echo", 60));
        for (wrong, flag) in [
            (&["--network", "nowhere"][..], "--network"),
            (&["--network", "localhost:1", "--timeout", "0"], "--timeout"),
            (&[], "--network"),
        ] {
            let argv = ["huly-operator", "check"].iter().chain(wrong);
            let error = Args::try_parse_from(argv).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn the_times_of_the_lease_are_in_order() {
        for (wrong, flag) in [
            (&["--lease-renew-ms", "15000"][..], "--lease-renew-ms"),
            (&["--lease-seconds", "10"], "--lease-renew-ms"),
            (&["--lease-retry-ms", "10000"], "--lease-retry-ms"),
            (&["--lease-retry-ms", "0"], "--lease-retry-ms"),
            (&["--lease-seconds", "0"], "--lease-seconds"),
            (&["--identity", ""], "--identity"),
        ] {
            let error = Args::try_parse_from(RUN.iter().chain(wrong)).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        let short = ["--lease-seconds", "3", "--lease-renew-ms", "2000"];
        let args = Args::try_parse_from(RUN.iter().chain(&short)).unwrap_err();
        assert!(args.to_string().contains("--lease-retry-ms"), "{args}");
    }

    #[test]
    fn a_wrong_value_is_named() {
        for wrong in ["localhost", "localhost:x", ":3737", "localhost:0"] {
            let mut argv = RUN.to_vec();
            argv[2] = wrong;
            let error = Args::try_parse_from(argv).unwrap_err();
            assert!(error.to_string().contains("--network"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}

//! The flags of an agent.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser};
use huly_program::LogArgs;
use huly_protocol::PodRef;
use huly_router::Limits;

const BLOCKED_AFTER: Duration = Duration::from_secs(1);

const DRAIN_TIMEOUT_MS: u64 = 50_000;

const PING_INTERVAL_MS: u64 = 10_000;

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A host name or an address, an IPv6 one without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => {
                return Err(format!("{text:?}: an IPv6 address needs []"));
            }
            None => host,
        };
        if host.is_empty() || host.chars().any(char::is_whitespace) {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_| wrong())?;
        if port == 0 {
            return Err(format!("{text:?}: nobody can connect to port 0"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How an agent runs: flags of a program, or fields where it is embedded.
#[derive(Debug, Clone, Args)]
pub struct AgentOptions {
    /// The network server.
    #[arg(
        long,
        env = "HULY_NETWORK",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:3737"
    )]
    pub network: HostPort,
    /// Address that clients connect to for requests and events without the server.
    #[arg(long, env = "HULY_LISTEN", default_value = "0.0.0.0:3738")]
    pub listen: SocketAddr,
    /// What clients are told to connect to. Unless given the address that is listened on; of a
    /// wildcard the local address from which the server is reached.
    #[arg(long, env = "HULY_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<HostPort>,
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, env = "HULY_HTTP", default_value = "0.0.0.0:9091")]
    pub http: SocketAddr,
    /// The agent's id; a fresh uuid per process unless given.
    #[arg(long, env = "HULY_ID", value_parser = id)]
    pub id: Option<String>,
    /// An agent label, which kinds select agents by; may be given more than once.
    #[arg(
        long = "label",
        env = "HULY_LABEL",
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        value_parser = label
    )]
    pub labels: Vec<(String, String)>,
    /// Name of the node that the agent runs on.
    #[arg(long, env = "HULY_NODE")]
    pub node: Option<String>,
    /// The Pod that the agent runs in.
    #[arg(long, env = "HULY_POD", value_name = "NAMESPACE/NAME/UID", value_parser = pod)]
    pub pod: Option<PodRef>,
    /// Threads that containers run on; as many as there are processors unless given.
    #[arg(long, env = "HULY_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub workers: Option<u16>,
    /// How long answers are remembered for requests that are sent again, in ms.
    #[arg(long, env = "HULY_ANSWERS_MS", default_value_t = 60_000,
          value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub answers_ms: u64,
    /// How many bytes of answers are remembered for them.
    #[arg(long, env = "HULY_ANSWERS_BYTES", default_value_t = 16 << 20)]
    pub answers_bytes: usize,
    /// How long leaving may take, in ms: containers that have not ended by then are aborted.
    #[arg(long, env = "HULY_DRAIN_TIMEOUT_MS", default_value_t = DRAIN_TIMEOUT_MS,
          value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub drain_timeout_ms: u64,
    /// How often a container is asked whether it is well, in ms; 0: never, but for gets that
    /// an original server passes on. One that is not is ended, and placed again if it is referenced.
    #[arg(long, env = "HULY_PING_INTERVAL_MS", default_value_t = PING_INTERVAL_MS,
          value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub ping_interval_ms: u64,
    /// How long a container may take to answer that, in ms; as long as the interval unless given
    /// (10 s where that is 0).
    #[arg(long, env = "HULY_PING_TIMEOUT_MS",
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub ping_timeout_ms: Option<u64>,
    /// A client to which nothing could be written for so long, in ms, is cut.
    #[arg(long, env = "HULY_WRITE_TIMEOUT_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    pub write_timeout_ms: u64,
    /// After how long a container that does not reach an await is said to block its worker.
    #[arg(skip = BLOCKED_AFTER)]
    pub blocked_after: Duration,
}

impl AgentOptions {
    /// The defaults for a network server, as an embedded agent in a test wants them: free ports of
    /// the loopback interface.
    ///
    /// # Errors
    /// When `network` is not `HOST:PORT`.
    pub fn local(network: &str) -> Result<Self, String> {
        Ok(Self::of(network.parse()?))
    }

    pub(crate) fn of(network: HostPort) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            network,
            listen: loopback,
            advertise: None,
            http: loopback,
            id: None,
            labels: Vec::new(),
            node: None,
            pod: None,
            workers: None,
            answers_ms: 60_000,
            answers_bytes: 16 << 20,
            drain_timeout_ms: DRAIN_TIMEOUT_MS,
            ping_interval_ms: PING_INTERVAL_MS,
            ping_timeout_ms: None,
            write_timeout_ms: 10_000,
            blocked_after: BLOCKED_AFTER,
        }
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }

    pub(crate) fn ping_timeout(&self) -> Duration {
        let interval = match self.ping_interval_ms {
            0 => PING_INTERVAL_MS,
            interval => interval,
        };
        Duration::from_millis(self.ping_timeout_ms.unwrap_or(interval))
    }

    /// What is kept for clients that do not read.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            ..Limits::default()
        }
    }

    pub(crate) fn answers_window(&self) -> Duration {
        Duration::from_millis(self.answers_ms)
    }
}

/// An agent of the Huly network: it hosts containers.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) options: AgentOptions,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

fn id(text: &str) -> Result<String, String> {
    match text.len() {
        1..=253 => Ok(text.to_owned()),
        _ => Err("an agent's id has 1 to 253 bytes".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

fn pod(text: &str) -> Result<PodRef, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        [namespace, name, uid] if ![namespace, name, uid].contains(&"") => Ok(PodRef {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        }),
        _ => Err(format!("{text:?} is not NAMESPACE/NAME/UID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<AgentOptions, clap::Error> {
        let args = std::iter::once("huly-agent").chain(args.iter().copied());
        CommandLine::try_parse_from(args).map(|line| line.options)
    }

    #[test]
    fn all_flags_are_read() {
        let options = parse(&[
            "--network",
            "[::1]:3737",
            "--listen",
            "127.0.0.1:0",
            "--advertise",
            "agent-1.agents:3738",
            "--id",
            "a",
            "--label",
            "zone=a,disk=ssd",
            "--label",
            "empty=",
            "--node",
            "n1",
            "--pod",
            "default/agent-x/123",
            "--workers",
            "3",
        ])
        .unwrap();
        assert_eq!(options.network.host, "::1");
        assert_eq!(options.network.to_string(), "[::1]:3737");
        assert_eq!(
            options.advertise.unwrap().to_string(),
            "agent-1.agents:3738"
        );
        let labels: Vec<String> = options
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(labels, ["zone=a", "disk=ssd", "empty="]);
        assert_eq!(options.pod.unwrap().name, "agent-x");
        assert_eq!(options.workers, Some(3));
    }

    /// A manifest writes `[$(POD_IP)]:3738` and does not know of which family the address is.
    #[test]
    fn brackets_do_no_harm_to_an_ipv4_address() {
        for (text, host, shown) in [
            ("[192.0.2.1]:3738", "192.0.2.1", "192.0.2.1:3738"),
            ("[2001:db8::1]:3738", "2001:db8::1", "[2001:db8::1]:3738"),
        ] {
            let advertised = parse(&["--advertise", text]).unwrap().advertise.unwrap();
            assert_eq!(advertised.host, host);
            assert_eq!(advertised.to_string(), shown);
        }
    }

    #[test]
    fn a_ping_may_take_as_long_as_its_interval() {
        let timeout = |args: &[&str]| parse(args).unwrap().ping_timeout().as_millis();
        assert_eq!(timeout(&[]), 10_000);
        assert_eq!(timeout(&["--ping-interval-ms", "500"]), 500);
        assert_eq!(timeout(&["--ping-interval-ms", "0"]), 10_000);
        assert_eq!(timeout(&["--ping-timeout-ms", "70"]), 70);
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (flag, value) in [
            ("--network", "nowhere"),
            ("--network", ":3737"),
            ("--network", "::1:3737"),
            ("--advertise", "host:0"),
            ("--advertise", "host:70000"),
            ("--listen", "3738"),
            ("--label", "=x"),
            ("--label", "zone"),
            ("--pod", "default/agent"),
            ("--pod", "default//uid"),
            ("--id", ""),
            ("--workers", "0"),
            ("--ping-interval-ms", "often"),
            ("--ping-timeout-ms", "0"),
            ("--drain-timeout-ms", "50s"),
        ] {
            let error = parse(&[flag, value]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag} {value}");
            let text = error.to_string();
            assert!(text.contains(flag), "{text}");
        }
    }
}

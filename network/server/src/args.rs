use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use huly_program::LogArgs;
use huly_protocol::{Secret, lease};
use huly_registry::Config;
use huly_router::Limits;

/// The network server of the Huly network: it knows where every container lives.
///
/// There is one per network. All it knows is told to it again when it restarts.
#[derive(Debug, Clone, Parser)]
#[command(name = "huly-network", version)]
pub struct Args {
    /// Address that clients and agents connect to.
    #[arg(long, env = "HULY_LISTEN", default_value = "0.0.0.0:3737")]
    pub listen: SocketAddr,
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, env = "HULY_HTTP", default_value = "0.0.0.0:9090")]
    pub http: SocketAddr,
    /// Name of the network.
    #[arg(long, env = "HULY_NETWORK_NAME", default_value = "default")]
    pub network_name: String,
    /// File with the secret that the operator must say. Without one there is no operator.
    #[arg(long, env = "HULY_CONTROL_SECRET_FILE")]
    pub control_secret_file: Option<PathBuf>,
    /// How long agents' leases are, in ms from an agent's sending of the ping that was answered:
    /// agents are told. Containers of exclusive kinds are placed elsewhere when the lease of their
    /// agent is over.
    #[arg(long, env = "HULY_LEASE_MS", default_value_t = millis(lease::DEFAULT),
          value_parser = clap::value_parser!(u64).range(millis(lease::SHORTEST)..=millis(lease::LONGEST)))]
    pub lease_ms: u64,
    /// How long the containers of a Rust agent whose connection closed stay with it, in ms.
    #[arg(long, env = "HULY_GRACE_MS", default_value_t = 750,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub grace_ms: u64,
    /// The same for a TypeScript agent, in ms.
    #[arg(long, env = "HULY_PLAIN_GRACE_MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub plain_grace_ms: u64,
    /// How long after its start, or after the first peer came that knew another server, the server
    /// waits for agents to register a container before it places the uuid anew, in ms; at least
    /// `--lease-ms`. One that may be of an exclusive kind waits for 3.75 s after the start too.
    #[arg(long, env = "HULY_SETTLE_MS", default_value_t = 1_500,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub settle_ms: u64,
    /// How long after its start the server raises its term above that of a server whose clock was
    /// ahead, in ms; when it learns of one later, it ends, to be started again.
    #[arg(long, env = "HULY_TERM_WINDOW_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub term_window_ms: u64,
    /// Requests of one client that may be in flight at once.
    #[arg(long, env = "HULY_REQUESTS_IN_FLIGHT", default_value_t = 4_096,
          value_parser = clap::value_parser!(u32).range(1_024..))]
    pub requests_in_flight: u32,
    /// A peer to which nothing could be written for so long, in ms, is cut.
    #[arg(long, env = "HULY_WRITE_TIMEOUT_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    pub write_timeout_ms: u64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments say it")]
    pub log: LogArgs,
}

impl Args {
    /// What the registry is told.
    pub(crate) fn config(&self, instance: String, term: u64) -> anyhow::Result<Config> {
        Ok(Config {
            network: self.network_name.clone(),
            control_secret: self.control_secret()?,
            requests_in_flight: self.requests_in_flight,
            lease: Duration::from_millis(self.lease_ms),
            settle: Duration::from_millis(self.settle_ms.max(self.lease_ms)),
            grace: Duration::from_millis(self.grace_ms),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            plain_grace: Duration::from_millis(self.plain_grace_ms),
            term_window: Duration::from_millis(self.term_window_ms),
            ..Config::new(instance, term)
        })
    }

    /// What is kept for peers that do not read.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            ..Limits::default()
        }
    }

    fn control_secret(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.control_secret_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read --control-secret-file {}", path.display()))?;
        let secret = text.trim();
        anyhow::ensure!(
            !secret.is_empty(),
            "--control-secret-file {} is empty: write a random text into it",
            path.display()
        );
        Ok(Some(secret.into()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let error = Args::try_parse_from(["huly-network", "--listen", "nowhere"]).unwrap_err();
        assert!(error.to_string().contains("--listen"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn times_are_told_to_the_registry() {
        let flags = "huly-network --lease-ms 2000 --settle-ms 100 --grace-ms 1 --plain-grace-ms 2 \
                     --term-window-ms 3";
        let args = Args::try_parse_from(flags.split_whitespace()).unwrap();
        let config = args.config("i".into(), 1).unwrap();
        let told = [
            config.lease,
            config.settle,
            config.grace,
            config.plain_grace,
        ];
        // Before the longest lease is over nothing is placed anew.
        assert_eq!(told.map(|time| time.as_millis()), [2_000, 2_000, 1, 2]);
        assert_eq!(config.term_window.as_millis(), 3);
    }

    /// A shorter lease would not hold from one ping to the next, a longer one is not reckoned with by a
    /// server that has just started.
    #[test]
    fn a_lease_has_its_bounds() {
        let lease = |ms: &str| Args::try_parse_from(["huly-network", "--lease-ms", ms]);
        for ms in ["499", "3001"] {
            let error = lease(ms).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            let named = text.contains("--lease-ms") && text.contains("500..=3000");
            assert!(named, "{text}");
        }
        for (ms, length) in [("500", 500), ("3000", 3_000)] {
            assert_eq!(lease(ms).unwrap().lease_ms, length);
        }
        assert_eq!(Args::parse_from(["huly-network"]).lease_ms, 1_000);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let args = Args::try_parse_from(["huly-network", "--control-secret-file", path]).unwrap();
        let error = args.config("i".into(), 1).unwrap_err().to_string();
        assert!(error.contains("is empty"), "{error}");
    }
}

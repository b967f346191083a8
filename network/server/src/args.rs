use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use huly_program::LogArgs;
use huly_protocol::Secret;
use huly_registry::Config;

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
    /// An agent's lease, in ms from its sending of the ping that was answered.
    #[arg(long, env = "HULY_LEASE_MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(100..=3_000))]
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
    /// waits for agents to register a container before it places the uuid anew, in ms; at least the
    /// longest lease.
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
            plain_grace: Duration::from_millis(self.plain_grace_ms),
            term_window: Duration::from_millis(self.term_window_ms),
            ..Config::new(instance, term)
        })
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

    #[test]
    fn an_empty_secret_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let args = Args::try_parse_from(["huly-network", "--control-secret-file", path]).unwrap();
        let error = args.config("i".into(), 1).unwrap_err().to_string();
        assert!(error.contains("is empty"), "{error}");
    }
}

//! The way to the API server.

mod polite;

use std::time::Duration;

use anyhow::Context;
use kube::client::ClientBuilder;
use kube::{Client, Config};

use self::polite::PoliteLayer;

/// How long a body may stay silent, in the midst of it or before it: longer than a quiet watch lasts.
const SILENCE: Duration = Duration::from_secs(45);

/// A client of the API server that the environment leads to. It asks as the API server bids
/// (`Retry-After`), and gives up what is not answered; it tries nothing again by itself: each caller
/// knows what is worth it.
///
/// # Errors
/// When neither a kubeconfig nor a Pod's service account leads to one.
pub(crate) async fn connect() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("no way to a Kubernetes API server: set KUBECONFIG, or run it in a Pod")?;
    config.default_retry = false;
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&PoliteLayer)
        .build())
}

//! Ctrl-C and SIGTERM end the work at hand, so that what was started can be taken down.

use std::future::Future;

use anyhow::{Context, Error, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// The error of work that was cut off by a signal.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Runs `work` until it ends or a signal asks for the end of it.
///
/// # Errors
/// The work's own, or [`Interrupted`].
pub(crate) async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        asked = requested() => {
            asked?;
            bail!(Interrupted)
        }
    }
}

/// Says of work that was cut off that it left nothing running.
pub(crate) fn nothing_started(error: Error) -> Error {
    match error.is::<Interrupted>() {
        true => error.context("nothing was started"),
        false => error,
    }
}

/// Waits for a signal that asks for the end.
pub(crate) async fn requested() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

//! Holding containers.

use std::future::pending;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use huly_client::{Client, ContainerRef};

/// How many are asked for at once.
const AT_ONCE: usize = 64;

/// Gets new containers and holds them for ever.
///
/// # Errors
/// When one cannot be had.
pub(crate) async fn hold(client: &Client, kind: &str, count: usize) -> Result<()> {
    let _held: Vec<ContainerRef> = stream::iter(0..count)
        .map(|_| async { client.get(kind).new_container().await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .with_context(|| format!("cannot get {count} containers of {kind}"))?;
    crate::report(&format!("holding {count}"));
    pending().await
}

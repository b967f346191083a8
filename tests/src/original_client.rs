//! A client that behaves as the TypeScript one does, as a process.

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::settings::variable;
use crate::tools::printed;

/// What a client of the conformance tests in Python gets of a container in the network at `address`:
/// its `endpoint`, and its answers to the same request through the network (`routed`) and at its
/// agent (`direct`). It has closed then.
///
/// # Errors
/// When it gets no container, or no answer, or is sent what a TypeScript client must never see.
pub async fn original_client(
    address: &str,
    container_kind: &str,
    uuid: &str,
    operation: &str,
    data: &Value,
) -> Result<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/run_ts_client.py");
    let mut command = Command::new(variable("HULY_TEST_PYTHON")?);
    command
        .args([script, address, container_kind, uuid, operation])
        .arg(data.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let said = printed(command).await?;
    serde_json::from_str(&said).with_context(|| said)
}

//! Asking a program's HTTP address.

use std::time::Duration;

use anyhow::{Context, Result};

/// Status and body of `GET http://ADDRESS/PATH`, of an address `host:port`.
///
/// # Errors
/// When nobody answers within 2 s.
pub(crate) async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let url = format!("http://{address}{path}");
    let asked = tokio::task::spawn_blocking(move || -> Result<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(2)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.get(&url).call().context(url)?;
        Ok((
            answer.status().as_u16(),
            answer.body_mut().read_to_string()?,
        ))
    });
    asked.await.context("the question was cut off")?
}

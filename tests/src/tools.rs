//! Other programs that tests ask: kubectl, Python.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::settings::variable;

/// What kubectl prints, against the API server of the tests.
///
/// # Errors
/// When it fails: with what it says.
pub async fn kubectl(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(variable("HULY_TEST_KUBECTL")?);
    let cache = tempfile::tempdir()?;
    command
        .arg("--kubeconfig")
        .arg(variable("HULY_TEST_KUBECONFIG")?)
        .arg("--cache-dir")
        .arg(cache.path())
        .args(arguments);
    printed(command).await
}

/// What one of the tests in Python prints, given these variables.
///
/// # Errors
/// When it fails, or was not run.
pub async fn python_test(test: &str, variables: &[(&str, &str)]) -> Result<()> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut command = Command::new(variable("HULY_TEST_PYTHON")?);
    command
        .args(["-m", "pytest", "-p", "no:cacheprovider", test])
        .envs(variables.iter().copied())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(root);
    let said = printed(command).await?;
    ensure!(said.contains("1 passed"), "{said}");
    Ok(())
}

pub(crate) async fn printed(mut command: Command) -> Result<String> {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    let status = output.status;
    ensure!(
        status.success(),
        "{command:?} ended with {status}: {said}{}",
        text(&output.stderr)
    );
    Ok(said)
}

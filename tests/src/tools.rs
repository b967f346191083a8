//! Other programs that tests ask: kubectl, Python.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::settings::variable;

/// What a program said, whatever it came to.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether it succeeded.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// Its warnings and errors.
    pub stderr: String,
}

/// What kubectl prints, against the API server of the tests.
///
/// # Errors
/// When it fails: with what it says.
pub async fn kubectl(arguments: &[&str]) -> Result<String> {
    let said = kubectl_says(arguments).await?;
    let shown = arguments.join(" ");
    ensure!(said.success, "kubectl {shown}: {said:?}");
    Ok(said.stdout)
}

/// What kubectl says, warnings and refusals among it.
///
/// # Errors
/// When it cannot be started.
pub async fn kubectl_says(arguments: &[&str]) -> Result<Said> {
    let mut command = Command::new(variable("HULY_TEST_KUBECTL")?);
    let cache = tempfile::tempdir()?;
    command
        .arg("--kubeconfig")
        .arg(variable("HULY_TEST_KUBECONFIG")?)
        .arg("--cache-dir")
        .arg(cache.path())
        .args(arguments);
    said(command).await
}

/// What `kubectl huly` says, by kubectl's plugin of that name, in the network at `address`.
///
/// # Errors
/// When it cannot be started.
pub async fn kubectl_huly(address: &str, arguments: &[&str]) -> Result<Said> {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(variable("HULY_BIN")?).chain(std::env::split_paths(&before));
    let mut command = Command::new(variable("HULY_TEST_KUBECTL")?);
    command
        .env("PATH", std::env::join_paths(folders)?)
        .env("HULY_NETWORK", address)
        .arg("huly")
        .args(arguments);
    said(command).await
}

/// What huly-operator says, run to its end with a kubeconfig.
///
/// # Errors
/// When it cannot be started.
pub async fn huly_operator(kubeconfig: &Path, arguments: &[&str]) -> Result<Said> {
    let mut command = Command::new(variable("HULY_BIN")?.join("huly-operator"));
    command.env("KUBECONFIG", kubeconfig).args(arguments);
    said(command).await
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

pub(crate) async fn printed(command: Command) -> Result<String> {
    let shown = format!("{command:?}");
    let said = said(command).await?;
    ensure!(said.success, "{shown}: {said:?}");
    Ok(said.stdout)
}

pub(crate) async fn said(mut command: Command) -> Result<Said> {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        success: output.status.success(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

//! Commands as people type them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;
use tokio::time::timeout;

use crate::settings::variable;
use crate::tools::{Said, said};

/// How long they may take: several waits of Kubernetes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What commands print, all of it as standard output, in a bash of their own with these options: in
/// the project's folder, with kubectl and helm for the cluster of the tests.
///
/// # Errors
/// When they are not done after 300 s.
pub async fn shell(commands: &str, options: &[&str]) -> Result<Said> {
    let mut path = Vec::new();
    for program in ["HULY_TEST_KUBECTL", "HULY_TEST_HELM"] {
        path.extend(variable(program)?.parent().map(PathBuf::from));
    }
    let others = std::env::var_os("PATH").unwrap_or_default();
    path.extend(std::env::split_paths(&others));
    let home = tempfile::tempdir()?;
    let mut shell = Command::new("bash");
    shell
        .args(options)
        // What a terminal shows.
        .args(["-c", &format!("exec 2>&1\n{commands}")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("PATH", std::env::join_paths(path)?)
        .env("KUBECONFIG", variable("HULY_TEST_KUBECONFIG")?)
        .env("HOME", home.path());
    let said = timeout(PATIENCE, said(shell)).await;
    said.with_context(|| format!("not done after {PATIENCE:?}"))?
}

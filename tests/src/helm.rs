//! helm, and the chart.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::settings::variable;
use crate::tools::{Said, said};

/// The chart's folder.
pub fn chart() -> String {
    root("charts/huly-network").display().to_string()
}

/// An older chart, packed: what is upgraded from. It has the number of the first release, which the
/// present one has too until that is made.
pub fn released_chart() -> String {
    root("tests/chart/huly-network-0.1.0.tgz")
        .display()
        .to_string()
}

/// What helm says, against the API server of the tests.
///
/// # Errors
/// When it fails: with what it says.
pub async fn helm(arguments: &[&str]) -> Result<Said> {
    let said = helm_says(arguments).await?;
    ensure!(said.success, "helm {}: {said:?}", arguments.join(" "));
    Ok(said)
}

/// Why helm refuses.
///
/// # Errors
/// When it does not.
pub async fn helm_refuses(arguments: &[&str]) -> Result<String> {
    let said = helm_says(arguments).await?;
    let shown = arguments.join(" ");
    ensure!(!said.success, "helm {shown} went well: {}", said.stdout);
    Ok(said.stderr)
}

/// What helm says, whatever it comes to.
///
/// # Errors
/// When it cannot be started.
pub async fn helm_says(arguments: &[&str]) -> Result<Said> {
    let own = tempfile::tempdir()?;
    let mut command = Command::new(variable("HULY_TEST_HELM")?);
    command
        .args(arguments)
        .env("KUBECONFIG", variable("HULY_TEST_KUBECONFIG")?)
        .env("HELM_CACHE_HOME", own.path())
        .env("HELM_CONFIG_HOME", own.path())
        .env("HELM_DATA_HOME", own.path());
    said(command).await
}

/// The objects that the chart renders to with the values of `tests/chart/values/NAME.yaml`: a check
/// of its own keeps what is checked in fresh.
///
/// # Errors
/// When there is no such file, or no YAML in it.
pub fn rendered(name: &str) -> Result<Vec<Value>> {
    let path = root(&format!("tests/chart/golden/{name}.yaml"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let object = Value::deserialize(document)?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    ensure!(!objects.is_empty(), "{} has no objects", path.display());
    Ok(objects)
}

/// The commands in the notes after an install, each with all of its lines: what is indented.
pub fn commands_in(notes: &str) -> Vec<String> {
    let mut commands: Vec<Vec<&str>> = vec![Vec::new()];
    for line in notes.lines() {
        match (line.strip_prefix("    "), commands.last_mut()) {
            (Some(line), Some(command)) => command.push(line),
            _ => commands.push(Vec::new()),
        }
    }
    commands.retain(|lines| !lines.is_empty());
    commands.iter().map(|lines| lines.join("\n")).collect()
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_is_indented() {
        let notes = "A:\n\n    a\n\nB:\n\n    b \\\n      c\n    d\nE\n";
        assert_eq!(commands_in(notes), ["a", "b \\\n  c\nd"]);
        assert!(commands_in("none\n").is_empty());
    }
}

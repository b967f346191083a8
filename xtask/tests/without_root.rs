//! What needs root, without it: it says so, names what goes without, and starts nothing.

#![cfg(target_os = "linux")]

use std::io::Result;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program as somebody who is not root, with nothing in its cache.
fn without_root(arguments: &[&str], ci: Option<&str>) -> Result<Output> {
    let cache = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    if rustix::process::geteuid().is_root() {
        // In a namespace without a map of users root is nobody, with root's files still its own.
        command = Command::new("unshare");
        command.args(["--user", "--", env!("CARGO_BIN_EXE_xtask")]);
    }
    command.args(arguments).env("HULY_CACHE", cache.path());
    match ci {
        Some(value) => command.env("CI", value),
        None => command.env_remove("CI"),
    };
    let output = command.output()?;
    assert!(is_empty(&cache.path().join("run")), "something was started");
    Ok(output)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Expects these in a text, in order.
fn says(text: &[u8], expected: &[&str]) {
    let text = String::from_utf8_lossy(text);
    let mut rest = &*text;
    for part in expected {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?} in its place in:\n{text}");
        };
        rest = after;
    }
}

/// What is missing, and what goes without it.
const REASON: [&str; 2] = [
    "a cluster with nodes needs root",
    "`cargo xtask up` (no --nodes) starts the control plane, the network server, \
     two agents and the operator as plain processes",
];

#[test]
fn a_cluster_with_nodes_is_refused_with_what_goes_instead() -> Result<()> {
    for arguments in [&["up", "--nodes", "3"][..], &["node", "kill", "node-1"]] {
        let output = without_root(arguments, None)?;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        says(&output.stderr, &REASON);
    }
    Ok(())
}

#[test]
fn tests_on_nodes_are_left_out_aloud() -> Result<()> {
    let output = without_root(&["test", "nodes"], None)?;
    assert_eq!(output.status.code(), Some(0));
    let [needs, instead] = REASON;
    let aloud = "warning: nodes: not everything was checked: no test ran: ";
    says(&output.stderr, &[aloud, needs, instead]);
    says(&output.stdout, &["passed in part: no test ran: ", needs]);
    Ok(())
}

#[test]
fn in_ci_tests_that_are_left_out_have_failed() -> Result<()> {
    let output = without_root(&["test", "nodes"], Some("true"))?;
    assert_eq!(output.status.code(), Some(1));
    let [needs, instead] = REASON;
    let failed = "error: failed: nodes";
    says(&output.stderr, &["error: nodes: ", needs, instead, failed]);
    says(&output.stdout, &["nodes", "FAILED"]);
    Ok(())
}

//! cargo-deny over all crates, itself built into the cache.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Passed;
use crate::command::{self, Program};
use crate::files::Lock;
use crate::workspace::Workspace;
use crate::{cache, files};

const VERSION: &str = "0.20.2";

/// Checks licences, sources, bans, and the known vulnerabilities where their list can be fetched.
///
/// # Errors
/// When a check finds something, or cargo-deny cannot be built.
pub(super) async fn run(workspace: &Workspace) -> Result<Passed> {
    let deny = installed(workspace).await?;
    let deny = || {
        Program::new(&deny)
            .argument("--workspace")
            .folder(&workspace.root)
    };
    let fetched = command::capture(deny().arguments(["fetch", "db"])).await;
    match fetched {
        Ok(_) => {
            command::stream(deny().arguments(["check", "--disable-fetch"])).await?;
            Ok(Passed::Fully)
        }
        Err(error) => {
            command::stream(deny().arguments(["check", "licenses", "bans", "sources"])).await?;
            let error = format!("{error:#}");
            let reason = error.lines().next().unwrap_or_default();
            eprintln!("the list of known vulnerabilities cannot be fetched: {reason}");
            Ok(Passed::Partly(
                "no list of known vulnerabilities could be fetched".to_owned(),
            ))
        }
    }
}

async fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.cache.join("tools");
    let folder = tools.join(cache::version("cargo-deny", VERSION));
    let program = folder.join("bin/cargo-deny");
    let _lock = Lock::take(&tools.join(".cargo-deny.lock"), || {
        println!("  another run of cargo xtask builds cargo-deny …");
    })
    .await?;
    if !program.is_file() {
        let target = tools.join(".cargo-deny.target");
        let install = Program::cargo()
            // A debug build takes a fraction of the time and is fast enough.
            .arguments([
                "install",
                "cargo-deny",
                "--locked",
                "--debug",
                "--version",
                VERSION,
            ])
            .argument("--root")
            .argument(&folder)
            .variable("CARGO_TARGET_DIR", &target)
            // Outside the workspace, whose configuration is for its own crates.
            .folder(&tools);
        command::stream(install)
            .await
            .context("cannot build cargo-deny")?;
        files::remove_folder(&target)?;
    }
    cache::use_version(&tools, "cargo-deny", VERSION)?;
    Ok(program)
}

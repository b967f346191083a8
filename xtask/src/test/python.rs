//! The conformance tests in Python, in an environment of their own in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::{self, Program};
use crate::files::Lock;
use crate::go_programs::short_hex;
use crate::huly_programs::HulyPrograms;
use crate::workspace::Workspace;
use crate::{cache, files};

/// Runs pytest against the workspace's programs.
///
/// # Errors
/// When a test fails, or what the tests need cannot be built or installed.
pub(super) async fn run(workspace: &Workspace) -> Result<()> {
    let programs = HulyPrograms::build(workspace).await?;
    let python = environment(workspace).await?;
    let pytest = Program::new(python)
        // They wait more than they work: more of them than cores.
        .arguments(["-m", "pytest", "tests/conformance", "--numprocesses", "8"])
        .variable("HULY_BIN", &programs.folder)
        .variable("PYTHONDONTWRITEBYTECODE", "1")
        .folder(&workspace.root);
    command::stream(pytest).await
}

/// Makes the environment that the requirements name, if there is none yet; returns its Python.
///
/// # Errors
/// When what the tests need cannot be installed.
pub(super) async fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root.join("tests/requirements.txt");
    let key = key(&requirements).await?;
    let all = workspace.cache.join("python");
    let folder = all.join(cache::version("tests", &key));
    let python = folder.join("bin/python");
    let _lock = Lock::take(&all.join(".tests.lock"), || {
        println!("  another run of cargo xtask makes the Python environment …");
    })
    .await?;
    // An environment cannot be moved, so a file says that this one was finished.
    let finished = folder.join("finished");
    if !finished.is_file() {
        files::remove_folder(&folder)?;
        command::stream(
            Program::new("python3")
                .arguments(["-m", "venv"])
                .argument(&folder),
        )
        .await?;
        let pip = Program::new(&python)
            .arguments([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .argument("--requirement")
            .argument(&requirements);
        command::stream(pip).await?;
        fs::write(&finished, "").context("cannot finish the Python environment")?;
    }
    cache::use_version(&all, "tests", &key)?;
    Ok(python)
}

async fn key(requirements: &Path) -> Result<String> {
    let text = fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = command::capture(Program::new("python3").arguments(["-VV"])).await?;
    let mut hash = Sha256::new();
    hash.update(version);
    hash.update(text);
    Ok(short_hex(&hash.finalize()))
}

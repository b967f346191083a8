//! The workspace's own programs, built by cargo.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build;
use crate::command::{self, Program};
use crate::workspace::Workspace;

/// The built programs.
#[derive(Debug, Clone)]
pub(crate) struct HulyPrograms {
    /// The folder that they are in.
    pub(crate) folder: PathBuf,
}

impl HulyPrograms {
    /// Builds them with cargo's output going where this program's goes.
    ///
    /// # Errors
    /// When one cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        command::stream(cargo_build(workspace)).await?;
        Ok(Self {
            folder: workspace.binaries(),
        })
    }

    /// Builds them as one step, with cargo's output going to a file.
    ///
    /// # Errors
    /// When one cannot be built: with the end of the file.
    pub(crate) async fn build_logged(workspace: &Workspace, log: &Path) -> Result<Self> {
        let cargo = cargo_build(workspace).arguments(["--color", "never"]);
        build::step("the network's programs", cargo, log, build::by_cargo).await?;
        Ok(Self {
            folder: workspace.binaries(),
        })
    }

    pub(crate) fn network(&self) -> PathBuf {
        self.folder.join("huly-network")
    }

    pub(crate) fn agent(&self) -> PathBuf {
        self.folder.join("huly-agent")
    }

    pub(crate) fn operator(&self) -> PathBuf {
        self.folder.join("huly-operator")
    }

    pub(crate) fn cli(&self) -> PathBuf {
        self.folder.join("huly")
    }
}

fn cargo_build(workspace: &Workspace) -> Program {
    Program::cargo()
        // This program is running: it is built already, and with other features of its crates.
        .arguments(["build", "--workspace", "--exclude", "xtask", "--bins"])
        .folder(&workspace.root)
}

//! The programs of examples/tour, each with a network server.

use anyhow::Result;

use crate::command::{self, Program};
use crate::huly_programs::HulyPrograms;
use crate::workspace::Workspace;

/// Builds them and runs their tests, which get, as the variable HULY_BIN, the folder of the
/// programs; the examples are below it.
///
/// # Errors
/// When a test fails, or something does not build.
pub(super) async fn run(workspace: &Workspace) -> Result<()> {
    let programs = HulyPrograms::build(workspace).await?;
    let examples = Program::cargo()
        .arguments(["build", "--package", "tour", "--examples"])
        .folder(&workspace.root);
    command::stream(examples).await?;
    let tests = Program::cargo()
        .arguments(["test", "--package", "huly-tests", "--test", "examples"])
        .arguments(["--", "--include-ignored"])
        .variable("HULY_BIN", &programs.folder)
        .folder(&workspace.root);
    command::stream(tests).await
}

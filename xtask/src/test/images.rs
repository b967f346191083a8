//! The images: their sizes, that packing is repeatable, that what is in them runs, and that
//! Dockerfiles make the same.

use anyhow::{Context, Result};

use super::python;
use crate::command::{self, Program};
use crate::images;
use crate::workspace::Workspace;

/// The example of an application's own agent, which is packed as an application would.
const OWN_AGENT: &str = "own-agent";

/// Makes the images and runs the tests of what is in them. That a second build gives the same
/// programs takes as long as the first; `cargo xtask images --verify` looks at that too.
///
/// # Errors
/// When a test fails, or an image cannot be made, is too large or differs when packed again.
pub(super) async fn run(workspace: &Workspace) -> Result<()> {
    let packages: Vec<&str> = images::NETWORK.into_iter().chain([OWN_AGENT]).collect();
    let made = images::build(workspace, &packages, None).await?;
    images::verify::packed_again(workspace, &made).await?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    for image in &made.images {
        image.show();
        image.copy_to(folder.path())?;
    }
    let python = python::environment(workspace).await?;
    let pytest = Program::new(python)
        .arguments(["-m", "pytest", "tests/images"])
        .variable("HULY_IMAGES", folder.path())
        .variable("HULY_PROGRAMS", images::program::folder(&workspace.target))
        .variable("PYTHONDONTWRITEBYTECODE", "1")
        .folder(&workspace.root);
    command::stream(pytest).await
}

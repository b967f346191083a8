//! Versions one release apart: the tests of the previous release's programs with the present ones.

use anyhow::Result;

use super::Passed;
use super::previous::{self, Previous};
use crate::command::{self, Program};
use crate::huly_programs::HulyPrograms;
use crate::workspace::Workspace;

/// Builds both and runs the tests. They get, as variables, HULY_BIN (the folder of the present
/// programs) and HULY_TEST_PREVIOUS (that of the previous ones).
///
/// `asked` is a revision that stands for the previous release.
///
/// # Errors
/// When a test fails, or something does not build.
pub(super) async fn run(workspace: &Workspace, asked: Option<&str>) -> Result<Passed> {
    let previous = match asked {
        Some(revision) => Previous::Revision(revision.to_owned()),
        None => Previous::release(workspace).await?,
    };
    let revision = match previous {
        Previous::Revision(revision) => revision,
        Previous::None => {
            println!("  no release yet: there is nothing to be compatible with");
            return Ok(Passed::Fully);
        }
        Previous::Unknown(why) => {
            return Ok(Passed::Partly(format!(
                "the previous release is not known: {why}"
            )));
        }
    };
    let before = previous::build(workspace, &revision).await?;
    let now = HulyPrograms::build(workspace).await?;
    println!("  the present programs with those of {revision}");
    let tests = Program::cargo()
        .arguments(["test", "--package", "huly-tests", "--test", "skew"])
        .arguments(["--", "--ignored"])
        .variable("HULY_BIN", &now.folder)
        .variable("HULY_TEST_PREVIOUS", &before)
        .folder(&workspace.root);
    command::stream(tests).await?;
    Ok(Passed::Fully)
}

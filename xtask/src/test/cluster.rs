//! The tests of several programs on a real API server.

use anyhow::Result;

use super::python;
use crate::command::{self, Program};
use crate::environment::Environment;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::interrupt::interruptible;
use crate::report::step;
use crate::workspace::Workspace;

/// Starts one control plane for all tests of the package huly-tests, or for those of some files,
/// runs them, and takes it down whatever they come to.
///
/// The tests get, as variables: HULY_BIN (the folder of the huly programs), HULY_TEST_KUBECONFIG
/// (full access), HULY_TEST_OPERATOR_KUBECONFIG (the operator's own role and nothing else),
/// HULY_TEST_KUBECTL, HULY_TEST_HELM, HULY_TEST_PYTHON (with what tests/requirements.txt names) and
/// HULY_TEST_CONTROL_PLANE (a JSON file with the control plane's ports and processes, so that a
/// test can stop and continue one).
///
/// # Errors
/// When a test fails, or the control plane does not start or end.
pub(super) async fn run(workspace: &Workspace, files: &[String]) -> Result<()> {
    let (go, huly, python) = interruptible(async {
        Ok((
            GoPrograms::build(workspace).await?,
            HulyPrograms::build(workspace).await?,
            python::environment(workspace).await?,
        ))
    })
    .await?;
    let mut environment = Environment::create_unused(workspace, "test").await?;
    let outcome = interruptible(async {
        step(
            "Start the Kubernetes control plane",
            environment.start_control_plane(&go),
        )
        .await?;
        let definitions = workspace.definitions();
        step(
            "Apply the custom resource definitions",
            environment.apply_definitions(&go, &definitions),
        )
        .await?;
        step(
            "Give the operator its role",
            environment.apply_operator_role(&go, &huly),
        )
        .await?;
        let tests = Program::cargo()
            .arguments(["test", "--package", "huly-tests", "--no-fail-fast"])
            .arguments(files.iter().flat_map(|file| ["--test", file.as_str()]))
            .variable("HULY_BIN", &huly.folder)
            .variable("HULY_TEST_KUBECONFIG", environment.keys.admin_kubeconfig())
            .variable(
                "HULY_TEST_OPERATOR_KUBECONFIG",
                environment.keys.operator_kubeconfig(),
            )
            .variable("HULY_TEST_KUBECTL", go.kubectl())
            .variable("HULY_TEST_HELM", go.helm())
            .variable("HULY_TEST_PYTHON", &python)
            .variable("HULY_TEST_CONTROL_PLANE", environment.state_file())
            .folder(&workspace.root);
        command::stream(tests).await
    })
    .await;
    if outcome.is_err() {
        println!(
            "the control plane's logs are in {}",
            environment.logs.display()
        );
    }
    let down = step("Take the control plane down", environment.take_down()).await;
    outcome.and(down)
}

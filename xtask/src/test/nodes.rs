//! The tests on a cluster with nodes.

use anyhow::{Context, Result, bail};

use super::Passed;
use super::machine::Machine;
use crate::command::{self, Program};
use crate::environment::nodes::{Tools, pack};
use crate::environment::{self, Environment};
use crate::files::Lock;
use crate::go_programs::{GoPrograms, NodePrograms};
use crate::interrupt::interruptible;
use crate::prerequisites;
use crate::report::step;
use crate::up::start_cluster;
use crate::workspace::Workspace;

const NODES: u8 = 3;

/// What the tests run in Pods.
const ECHO: &str = "localhost/huly-network/echo:1";

/// Starts a cluster for all tests that need nodes, runs them, and looks whether the machine is
/// afterwards as it was before; so it does after a cluster that was left as by a crash.
///
/// The tests get, as variables: HULY_TEST_KUBECONFIG, HULY_TEST_KUBECTL, HULY_TEST_HELM, HULY_BIN
/// (the folder of the huly programs), and HULY_TEST_XTASK and HULY_TEST_ENVIRONMENT, so that a
/// test can kill and cut off nodes. Every node has the image `localhost/huly-network/echo:1`.
///
/// # Errors
/// When a test fails, the cluster does not start or end, or something of it is left.
pub(super) async fn run(workspace: &Workspace, install: bool) -> Result<Passed> {
    if let Err(missing) = prerequisites::may_make_nodes() {
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            return Err(missing);
        }
        return Ok(Passed::Partly(format!("no test ran: {missing}")));
    }
    let (go, programs) = interruptible(async {
        prerequisites::ensure(workspace, prerequisites::NODES, install).await?;
        Ok((
            GoPrograms::build(workspace).await?,
            NodePrograms::build(workspace).await?,
        ))
    })
    .await?;
    let tools = Tools {
        cluster: &go,
        node: &programs,
    };
    let (name, _lock) = unused(workspace)?;
    environment::down(workspace, &name).await?;
    let folder = workspace.environments().join(&name);
    let before = Machine::look(&folder)?;

    let outcome = interruptible(async {
        leave_half(workspace, &name, tools).await?;
        let environment = Environment::create(workspace, &name).await?;
        let cleared = before.is_restored(&folder);
        step("Clear what a crash left", cleared).await?;
        test(workspace, environment, tools).await
    })
    .await;
    if outcome.is_err() {
        println!("the logs are in {}", workspace.logs(&name).display());
    }
    let down = step("Take the cluster down", environment::down(workspace, &name)).await;
    let restored = before.is_restored(&folder).await;
    outcome
        .and(down.map(drop))
        .and(restored)
        .map(|()| Passed::Fully)
}

/// Starts a cluster and forgets it: what a run leaves that is ended by force.
async fn leave_half(workspace: &Workspace, name: &str, tools: Tools<'_>) -> Result<()> {
    let mut environment = Environment::create(workspace, name).await?;
    start_cluster(&mut environment, tools, 1).await
}

async fn test(workspace: &Workspace, mut environment: Environment, tools: Tools<'_>) -> Result<()> {
    start_cluster(&mut environment, tools, NODES).await?;
    let echo = environment.folder.join("echo.tar");
    pack(&echo, ECHO, &tools.node.echo())?;
    environment.load_image(tools.node, &echo).await?;
    environment.complete()?;
    let name = environment.name().to_owned();
    let kubeconfig = environment.keys.admin_kubeconfig();
    // The tests work on it through `cargo xtask node`.
    drop(environment);

    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let tests = Program::cargo()
        .arguments(["test", "--package", "huly-tests", "--test", "nodes", "--"])
        .arguments(["--ignored", "--test-threads=1"])
        .variable("HULY_BIN", workspace.binaries())
        .variable("HULY_TEST_KUBECONFIG", kubeconfig)
        .variable("HULY_TEST_KUBECTL", tools.cluster.kubectl())
        .variable("HULY_TEST_HELM", tools.cluster.helm())
        .variable("HULY_TEST_XTASK", this)
        .variable("HULY_TEST_ENVIRONMENT", name)
        .folder(&workspace.root);
    command::stream(tests).await
}

/// A name that no other run of these tests has, until the lock is dropped.
fn unused(workspace: &Workspace) -> Result<(String, Lock)> {
    for number in 1..=9 {
        let name = format!("nodes-test-{number}");
        let lock = workspace.environments().join(format!(".{name}.tests.lock"));
        if let Some(lock) = Lock::try_take(&lock)? {
            return Ok((name, lock));
        }
    }
    bail!("nine runs of these tests are at work")
}

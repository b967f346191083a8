//! The tests on a cluster with nodes.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::crash::crash;
use super::machine::Machine;
use super::{Passed, by_hand, cargo};
use crate::command::{self, Program};
use crate::environment::nodes::{Tools, pack};
use crate::environment::{self, Environment};
use crate::files::Lock;
use crate::go_programs::{self, GoPrograms, NodePrograms};
use crate::huly_programs::HulyPrograms;
use crate::images::{self, Image};
use crate::interrupt::interruptible;
use crate::prerequisites;
use crate::report::{seconds, step};
use crate::workspace::Workspace;

/// What the tests run in Pods.
const ECHO: &str = "localhost/huly-network/echo:1";

/// The packages whose images the chart and the tests name.
const IMAGES: [&str; 6] = {
    let [server, agent, operator, cli] = images::NETWORK;
    [server, agent, operator, cli, "in-cluster", "own-agent"]
};

/// What the tests put on the cluster, or beside it.
struct Subjects {
    /// The folder of `echo`.
    _folder: TempDir,
    /// The image [`ECHO`].
    echo: PathBuf,
    images: Vec<Image>,
    prometheus: PathBuf,
}

/// Starts a cluster for all tests that need nodes, runs them or those of some files, ends it with a node dead and
/// another cut off, and looks whether the machine is afterwards as it was before; so it does after an `up` that was
/// ended by force half-way. It is started and ended by the commands that people type.
///
/// The tests get, as variables: HULY_TEST_KUBECONFIG, HULY_TEST_KUBECTL, HULY_TEST_HELM,
/// HULY_TEST_PROMETHEUS, HULY_BIN (the folder of the huly programs), and HULY_TEST_XTASK and
/// HULY_TEST_ENVIRONMENT, so that a test can kill and cut off nodes. Every node has the image
/// `localhost/huly-network/echo:1` and those of [`IMAGES`], as a registry would serve them.
///
/// # Errors
/// When a test fails, the cluster does not start or end, or something of it is left.
pub(super) async fn run(workspace: &Workspace, files: &[String], install: bool) -> Result<Passed> {
    let files = chosen(programs(workspace)?, files)?;
    if let Err(missing) = prerequisites::may_make_nodes() {
        if prerequisites::in_ci() {
            return Err(missing);
        }
        return Ok(Passed::Partly(format!("no test ran: {missing}")));
    }
    let (go, programs, subjects) = interruptible(async {
        prerequisites::ensure(workspace, prerequisites::NODES, install).await?;
        prerequisites::ensure(workspace, prerequisites::IMAGES, install).await?;
        let go = GoPrograms::build(workspace).await?;
        let programs = NodePrograms::build(workspace).await?;
        let prometheus = go_programs::prometheus(workspace).await?;
        HulyPrograms::build(workspace).await?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let echo = folder.path().join("echo.tar");
        pack(&echo, ECHO, &programs.echo())?;
        let subjects = Subjects {
            _folder: folder,
            echo,
            images: images::build(workspace, &IMAGES, None).await?.images,
            prometheus,
        };
        // So that the programs' times are their own.
        cargo(workspace, &["test", "--package", "huly-tests", "--no-run"]).await?;
        Ok((go, programs, subjects))
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
        // One node has started nothing yet, and the other is being made.
        let half = crash(workspace, &name, "node-2");
        step("End `up` by force between two nodes", half).await?;
        step("Clear what that left: down", async {
            environment::down(workspace, &name).await?;
            before.is_restored(&folder).await
        })
        .await?;
        let half = crash(workspace, &name, "node-2-kubelet");
        let left = step("End `up` by force once both kubelets run", half).await?;
        let said = by_hand::up(workspace, &name, &subjects.echo).await?;
        left.is_cleared(&Machine::look(&folder)?)?;
        by_hand::look(&said, tools).await?;
        by_hand::load(workspace, &name, &subjects.images).await?;
        test(workspace, &name, tools, &subjects, &files).await?;
        by_hand::hurt(workspace, &name).await
    })
    .await;
    if outcome.is_err() {
        println!("the logs are in {}", workspace.logs(&name).display());
    }
    // What was cut off takes down itself what it had begun.
    let unused = environment::until_unused(workspace, &name).await;
    let down = unused.and(by_hand::down(workspace, &name).await);
    let restored = before.is_restored(&folder).await;
    outcome.and(down).and(restored).map(|()| Passed::Fully)
}

async fn test(
    workspace: &Workspace,
    name: &str,
    tools: Tools<'_>,
    subjects: &Subjects,
    files: &[String],
) -> Result<()> {
    let environment = Environment::open(workspace, name)?;
    let kubeconfig = environment.keys.admin_kubeconfig();
    let this = environment.kept_program();
    // The tests work on it through `cargo xtask node`.
    drop(environment);

    for program in files {
        let began = Instant::now();
        let tests = Program::cargo()
            .arguments(["test", "--package", "huly-tests", "--test", program])
            .arguments(["--", "--ignored", "--test-threads=1"])
            .variable("HULY_BIN", workspace.binaries())
            .variable("HULY_TEST_KUBECONFIG", &kubeconfig)
            .variable("HULY_TEST_KUBECTL", tools.cluster.kubectl())
            .variable("HULY_TEST_HELM", tools.cluster.helm())
            .variable("HULY_TEST_PROMETHEUS", &subjects.prometheus)
            .variable("HULY_TEST_XTASK", &this)
            .variable("HULY_TEST_ENVIRONMENT", name)
            .folder(&workspace.root);
        let outcome = command::stream(tests).await;
        println!("{program}: {}", seconds(began.elapsed()));
        outcome?;
    }
    Ok(())
}

/// The test programs, in order: first the cluster's own, then those of what is installed on it.
fn programs(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("tests/tests");
    let files = fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut found: Vec<String> = files
        .with_context(|| format!("cannot read {}", folder.display()))?
        .iter()
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let program = name.strip_suffix(".rs")?;
            program.starts_with("e2e_").then(|| program.to_owned())
        })
        .collect();
    found.sort();
    found.insert(0, "nodes".to_owned());
    Ok(found)
}

/// Those of the test programs that are asked for: all, if none is.
///
/// # Errors
/// When one is asked for that there is not.
fn chosen(all: Vec<String>, asked: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = asked.iter().find(|file| !all.contains(file)) {
        bail!("{unknown} is none of {}", all.join(", "));
    }
    let chosen = all
        .into_iter()
        .filter(|program| asked.is_empty() || asked.contains(program));
    Ok(chosen.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_test_programs_run_unless_some_are_asked_for() {
        let all = || {
            ["nodes", "e2e_agents", "e2e_server"]
                .map(str::to_owned)
                .to_vec()
        };
        assert_eq!(chosen(all(), &[]).unwrap(), all());
        let some = ["e2e_server", "nodes"].map(str::to_owned);
        assert_eq!(chosen(all(), &some).unwrap(), ["nodes", "e2e_server"]);
        let error = chosen(all(), &["claims".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("claims") && error.contains("e2e_agents"),
            "{error}"
        );
    }
}

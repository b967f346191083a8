//! Nodes: each a set of namespaces with containerd, a kubelet and kube-proxy in it, on a bridge.

mod config;
mod groups;
#[cfg(target_os = "linux")]
pub(crate) mod init;
mod links;
mod place;
mod plan;
mod programs;
mod services;
mod slot;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use uuid::Uuid;

use self::config::Files;
use self::groups::Groups;
pub(super) use self::place::{clear, end, placed};
pub(crate) use self::place::{is_of_another, slots_of};
pub(crate) use self::plan::{Node, Plan, check_count};
use self::slot::Slots;
use super::Environment;
use super::process::Identity;
use crate::command::{self, Program};
use crate::go_programs::{GoPrograms, NodePrograms};
use crate::images::archive::{self, Entry, ImageConfig};

/// What the names of a node's processes begin with, and no other's.
const PREFIX: &str = "node-";

/// How long a program of a node may take to be ready on a machine that is busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a process of an environment is one of a node's.
pub(super) fn is_of_node(process: &str) -> bool {
    process.starts_with(PREFIX)
}

/// A node that this run starts.
struct Starting {
    node: Node,
    init: Identity,
    /// Tells this start of it from earlier ones.
    boot_id: String,
}

/// The Kubernetes programs that work on nodes.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) cluster: &'a GoPrograms,
    pub(crate) node: &'a NodePrograms,
}

impl Environment {
    /// Its place on this machine, if it has nodes.
    pub(crate) fn plan(&self) -> Option<Plan> {
        self.state.nodes
    }

    /// The node of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn node(&self, name: &str) -> Result<Node> {
        self.nodes()?.node(name)
    }

    fn nodes(&self) -> Result<Plan> {
        let name = self.name();
        let plan = self.plan().with_context(|| {
            format!("the environment {name} has no nodes: `cargo xtask up --nodes 3` makes some")
        })?;
        // After a restart of the machine, its place may be another's.
        if !Slots::of_this_machine()
            .of(&self.folder)
            .contains(&plan.slot)
        {
            bail!("the environment {name} is not up any more: begin anew with `cargo xtask up`");
        }
        Ok(plan)
    }

    /// Starts nodes and waits until Kubernetes finds each ready.
    ///
    /// # Errors
    /// When one runs already, or one of its programs ends or is not ready in time.
    pub(crate) async fn start_nodes(&mut self, tools: Tools<'_>, nodes: &[Node]) -> Result<()> {
        let this = self.keep_this_program()?;
        let mut starting = Vec::new();
        for node in nodes {
            let plugins = &tools.node.network_plugins;
            starting.push(self.boot(node, plugins, &this).await?);
        }
        for one in &starting {
            let name = process(&one.node, "containerd");
            let program = programs::inside(&one.init, programs::containerd(self, tools, &one.node));
            self.start(&name, &program)?;
        }
        let pause = self.folder.join("pause.tar");
        pack(&pause, config::PAUSE, &tools.node.pause())?;
        for one in &starting {
            let name = process(&one.node, "containerd");
            let version = programs::ctr(&one.init, tools.node).argument("version");
            self.await_ready(&name, PATIENCE, || succeeds(version.clone()))
                .await?;
            import(&one.init, tools.node, &pause).await?;
        }
        for one in &starting {
            let kubelet = programs::kubelet(self, tools, &one.node);
            let proxy = programs::proxy(self, tools, &one.node);
            for (name, program) in [("kubelet", kubelet), ("kube-proxy", proxy)] {
                let program = programs::inside(&one.init, program);
                self.start(&process(&one.node, name), &program)?;
            }
        }
        for one in &starting {
            let state = self.kubectl(tools.cluster).arguments([
                "get",
                "node",
                &one.node.name,
                "--output=jsonpath={.status.nodeInfo.bootID} \
                 {.status.conditions[?(@.type==\"Ready\")].status} \
                 {.status.conditions[?(@.type==\"Ready\")].message}",
            ]);
            // What an earlier start of the node has said is not to be believed.
            let expected = format!("{} True", one.boot_id);
            self.await_ready(&process(&one.node, "kubelet"), PATIENCE, || {
                let (state, expected) = (state.clone(), expected.clone());
                async move {
                    let said = command::capture(state).await?;
                    ensure!(said.starts_with(&expected), "the node is not ready: {said}");
                    Ok(())
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The program that the environment keeps, once its nodes were started.
    pub(crate) fn kept_program(&self) -> PathBuf {
        self.folder.join("xtask")
    }

    /// Keeps this program in the environment: cargo may replace the one that runs by another at any
    /// time, as it does when the tests build it.
    fn keep_this_program(&self) -> Result<PathBuf> {
        let kept = self.kept_program();
        let unfinished = self.folder.join(".xtask.unfinished");
        fs::copy("/proc/self/exe", &unfinished)
            .and_then(|_| fs::rename(&unfinished, &kept))
            .with_context(|| format!("cannot make {}", kept.display()))?;
        Ok(kept)
    }

    /// Makes a node's namespaces, with nothing but its first process in them, and connects it.
    async fn boot(&mut self, node: &Node, network_plugins: &Path, this: &Path) -> Result<Starting> {
        let plan = self.nodes()?;
        self.ensure_down(node)?;
        // A run that was ended by force may have left its cable.
        self.end_node(node).await?;
        let groups = Groups::of_this_machine()?;
        let files = Files::of(&self.folder, node);
        files.write(plan, node, network_plugins, &self.keys.authority())?;
        for folder in init_folders(&files.folder) {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        groups.make(&node.space)?;
        let boot_id = Uuid::new_v4().to_string();
        let program = Program::new("unshare")
            .arguments(["--mount", "--pid", "--net", "--uts", "--ipc"])
            .arguments(["--fork", "--kill-child", "--mount-proc", "--"])
            .argument(this)
            .arguments(["node-init", "--name", &node.name, "--boot-id", &boot_id])
            .argument("--folder")
            .argument(&files.folder)
            .argument("--group")
            .argument(groups.first(&node.space));
        self.start(&node.name, &program)?;
        let booted = || async {
            let first = groups.first_process(&node.space);
            ensure!(first.is_some(), "it makes its own view of the machine");
            Ok(())
        };
        self.await_ready(&node.name, PATIENCE, booted).await?;
        let init = self.running(node)?;
        links::plug(plan, node, &init).await?;
        Ok(Starting {
            node: node.clone(),
            init,
            boot_id,
        })
    }

    /// Ends a node as a loss of its power does: all at once, and nobody hears its connections
    /// close. What it has stored stays.
    ///
    /// # Errors
    /// When it does not run, or something of it survives.
    pub(crate) async fn kill_node(&mut self, node: &Node) -> Result<()> {
        self.running(node)?;
        links::set(node, false).await?;
        self.end_node(node).await
    }

    /// Ends what there is of a node.
    ///
    /// # Errors
    /// When something of it survives.
    pub(crate) async fn end_node(&mut self, node: &Node) -> Result<()> {
        Groups::of_this_machine()?.clear(&node.space).await?;
        links::unplug(node).await?;
        let of_node = |name: &str| {
            name.strip_prefix(&node.name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        for process in self.state.processes.iter().filter(|one| of_node(&one.name)) {
            process.identity.kill().await?;
        }
        for (name, mut child) in self.children.extract_if(.., |name, _| of_node(name)) {
            child
                .wait()
                .await
                .with_context(|| format!("cannot wait for {name}"))?;
        }
        self.state.forget(|process| of_node(&process.name));
        self.state.write(&self.folder)
    }

    /// Cuts a node's cable, or mends it. What runs there runs on.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) async fn connect_node(&self, node: &Node, on: bool) -> Result<()> {
        self.running(node)?;
        links::set(node, on).await
    }

    /// Brings an image onto every node, from a docker-archive tar.
    ///
    /// # Errors
    /// When a node does not run or the tar is none.
    pub(crate) async fn load_image(&self, programs: &NodePrograms, tar: &Path) -> Result<()> {
        let tar = seen(tar)?;
        for node in self.nodes()?.nodes() {
            let init = self.running(&node)?;
            import(&init, programs, &tar)
                .await
                .with_context(|| format!("cannot load {} on {}", tar.display(), node.name))?;
        }
        Ok(())
    }

    /// # Errors
    /// When the node runs.
    pub(crate) fn ensure_down(&self, node: &Node) -> Result<()> {
        if Groups::of_this_machine()?
            .first_process(&node.space)
            .is_some()
        {
            bail!("{} runs already", node.name);
        }
        Ok(())
    }

    /// The first process of a node.
    fn running(&self, node: &Node) -> Result<Identity> {
        Groups::of_this_machine()?
            .first_process(&node.space)
            .with_context(|| format!("{} does not run", node.name))
    }
}

#[cfg(target_os = "linux")]
fn init_folders(node: &Path) -> [PathBuf; 2] {
    init::folders(node)
}

#[cfg(not(target_os = "linux"))]
fn init_folders(_: &Path) -> [PathBuf; 0] {
    []
}

/// A path that nodes see the same file under.
///
/// # Errors
/// When it is not there, or lies where a node has something of its own.
fn seen(path: &Path) -> Result<PathBuf> {
    let full = path
        .canonicalize()
        .with_context(|| format!("cannot find {}", path.display()))?;
    #[cfg(target_os = "linux")]
    if !init::is_seen(&full) {
        bail!(
            "nodes have folders of their own in place of {}: it must lie elsewhere",
            full.display()
        );
    }
    Ok(full)
}

fn process(node: &Node, program: &str) -> String {
    format!("{}-{program}", node.name)
}

/// Packs a static program as an image that runs it.
///
/// # Errors
/// When the program cannot be read or the tar not be written.
pub(crate) fn pack(tar: &Path, reference: &str, program: &Path) -> Result<()> {
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no plain name", program.display()))?;
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let config = ImageConfig {
        entrypoint: vec![format!("/{name}")],
        ..ImageConfig::default()
    };
    archive::write(tar, reference, &[Entry::program(name, bytes)], &config).map(|_| ())
}

async fn import(init: &Identity, programs: &NodePrograms, tar: &Path) -> Result<()> {
    let import = programs::ctr(init, programs)
        .arguments(["--namespace=k8s.io", "images", "import", "--local"])
        .argument(tar);
    command::capture(import).await.map(|_| ())
}

async fn succeeds(program: Program) -> Result<()> {
    command::capture(program).await.map(|_| ())
}

//! `up` and `down`: an environment that stays until it is taken down.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::environment::nodes::{Plan, Tools, check_count};
use crate::environment::{self, Environment, check_name, names};
use crate::files::write_private;
use crate::go_programs::{GoPrograms, NodePrograms};
use crate::huly_programs::HulyPrograms;
use crate::interrupt::{interruptible, nothing_started};
use crate::prerequisites::{self, CONTROL_PLANE, NODES, may_install};
use crate::report::{seconds, step};
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct UpArguments {
    /// The environment's name; several can run side by side
    #[arg(long, default_value = "default")]
    name: String,
    /// Start the Kubernetes control plane alone
    #[arg(long)]
    control_plane: bool,
    /// Start a bare cluster with this many nodes (root, Linux); the chart brings the rest
    #[arg(long, value_name = "COUNT", value_parser = check_count, conflicts_with = "control_plane")]
    nodes: Option<u8>,
    /// With --nodes: an image to bring onto every node, a docker-archive tar
    #[arg(long, value_name = "TAR", requires = "nodes")]
    image: Vec<PathBuf>,
    /// Install what is missing on this machine
    #[arg(long)]
    install: bool,
}

#[derive(Args)]
pub(crate) struct DownArguments {
    /// The environment's name
    #[arg(long, default_value = "default", conflicts_with = "all")]
    name: String,
    /// End all environments
    #[arg(long)]
    all: bool,
}

/// Starts an environment and leaves it running; takes it down again if it does not come up.
pub(crate) async fn up(workspace: &Workspace, arguments: &UpArguments) -> Result<()> {
    check_name(&arguments.name)?;
    if let Some(count) = arguments.nodes {
        return up_with_nodes(workspace, arguments, count).await;
    }
    let (go, huly) = interruptible(async {
        prerequisites::ensure(workspace, CONTROL_PLANE, may_install(arguments.install)).await?;
        let go = GoPrograms::build(workspace).await?;
        if arguments.control_plane {
            return Ok((go, None));
        }
        Ok((go, Some(HulyPrograms::build(workspace).await?)))
    })
    .await
    .map_err(nothing_started)?;
    let mut environment = Environment::create(workspace, &arguments.name).await?;
    let started = interruptible(async {
        step(
            "Start the Kubernetes control plane",
            environment.start_control_plane(&go),
        )
        .await?;
        if let Some(huly) = &huly {
            start_network(workspace, &mut environment, &go, huly).await?;
        }
        environment.complete()
    })
    .await;
    if let Err(error) = started {
        end(environment).await?;
        return Err(error);
    }
    let shell = write_shell_file(workspace, &environment, &go, None)?;
    println!("\n{}", how_to_look(&environment, &shell));
    println!(
        "End it with:\n\n    cargo xtask down --name {}",
        environment.name()
    );
    Ok(())
}

/// Ends an environment that did not come up, and says what is left of it.
async fn end(environment: Environment) -> Result<()> {
    let logs = environment.logs.clone();
    let ended = step("End what was started", environment.take_down()).await;
    println!("The logs are in {}", logs.display());
    ended
}

/// Starts a bare cluster, leaves it running and says how long that took.
async fn up_with_nodes(workspace: &Workspace, arguments: &UpArguments, count: u8) -> Result<()> {
    prerequisites::may_make_nodes()?;
    let (go, programs) = interruptible(async {
        prerequisites::ensure(workspace, NODES, may_install(arguments.install)).await?;
        Ok((
            GoPrograms::build(workspace).await?,
            NodePrograms::build(workspace).await?,
        ))
    })
    .await
    .map_err(nothing_started)?;
    let began = Instant::now();
    let mut environment = Environment::create(workspace, &arguments.name).await?;
    let tools = Tools {
        cluster: &go,
        node: &programs,
    };
    let started = interruptible(async {
        start_cluster(&mut environment, tools, count).await?;
        for tar in &arguments.image {
            let what = format!("Load {} on every node", tar.display());
            step(what, environment.load_image(&programs, tar)).await?;
        }
        environment.complete()
    })
    .await;
    if let Err(error) = started {
        end(environment).await?;
        return Err(error);
    }
    let shell = write_shell_file(workspace, &environment, &go, Some(&programs))?;
    println!(
        "\nA cluster with {count} nodes is up after {}.\n{}",
        seconds(began.elapsed()),
        how_to_go_on(&environment, &shell)
    );
    Ok(())
}

/// Starts a control plane with nodes, and nothing on them.
///
/// # Errors
/// When a part of it does not come up.
async fn start_cluster(environment: &mut Environment, tools: Tools<'_>, count: u8) -> Result<()> {
    let prepare = environment.prepare_nodes(count);
    step("Connect the nodes' network", prepare).await?;
    step(
        "Start the Kubernetes control plane",
        environment.start_control_plane(tools.cluster),
    )
    .await?;
    let services = environment.start_services(tools);
    step("Start the scheduler and DNS", services).await?;
    let nodes = environment.plan().map(Plan::nodes).unwrap_or_default();
    let what = if count == 1 {
        "Start a node".to_owned()
    } else {
        format!("Start {count} nodes")
    };
    step(what, environment.start_nodes(tools, &nodes)).await
}

/// Starts what a network has on a control plane that runs: server, agents, operator.
///
/// # Errors
/// When a part of it does not come up.
pub(crate) async fn start_network(
    workspace: &Workspace,
    environment: &mut Environment,
    go: &GoPrograms,
    huly: &HulyPrograms,
) -> Result<()> {
    let definitions = workspace.definitions();
    step(
        "Apply the custom resource definitions",
        environment.apply_definitions(go, &definitions),
    )
    .await?;
    step("Start the network server", environment.start_network(huly)).await?;
    step("Start two agents", environment.start_agents(huly)).await?;
    step("Start the operator", environment.start_operator(go, huly)).await
}

/// Ends one or all environments.
pub(crate) async fn down(workspace: &Workspace, arguments: &DownArguments) -> Result<()> {
    if !arguments.all {
        check_name(&arguments.name)?;
        match environment::down(workspace, &arguments.name).await? {
            true => say_down(workspace, &arguments.name),
            false => println!("{} is not up", arguments.name),
        }
        return Ok(());
    }
    let names = names(workspace);
    if names.is_empty() {
        println!("nothing is up");
    }
    let mut left = Vec::new();
    for name in names {
        match environment::down(workspace, &name).await {
            Ok(_) => say_down(workspace, &name),
            Err(error) => left.push(format!("{error:#}")),
        }
    }
    if !left.is_empty() {
        bail!("{}", left.join("\n"));
    }
    Ok(())
}

fn say_down(workspace: &Workspace, name: &str) {
    let logs = workspace.logs(name);
    println!("{name} is down; its logs stay in {}", logs.display());
}

/// Writes the file that a shell reads to use the environment: settings, and the programs' folders.
pub(crate) fn write_shell_file(
    workspace: &Workspace,
    environment: &Environment,
    go: &GoPrograms,
    nodes: Option<&NodePrograms>,
) -> Result<PathBuf> {
    let path = environment.shell_file();
    let mut text = format!(
        "export KUBECONFIG='{}'\n",
        environment.keys.admin_kubeconfig().display()
    );
    if nodes.is_none() {
        writeln!(
            text,
            "export HULY_NETWORK='{}'",
            environment.network_address()
        )?;
    }
    let programs = [go.kubectl(), go.helm()];
    text.push_str("export PATH=");
    for folder in programs.iter().filter_map(|program| program.parent()) {
        write!(text, "'{}':", folder.display())?;
    }
    writeln!(text, "'{}':\"$PATH\"", workspace.binaries().display())?;
    write_private(&path, &text)?;
    Ok(path)
}

/// What to type next in a bare cluster.
fn how_to_go_on(environment: &Environment, shell: &Path) -> String {
    let name = environment.name();
    format!(
        "The kubeconfig is {kubeconfig}\nThe logs are in {logs}\n\nTo go on:\n\n    \
         source {shell}    # sets KUBECONFIG and PATH, with kubectl and helm\n    \
         kubectl get nodes --label-columns topology.kubernetes.io/zone\n    \
         cargo xtask node load --environment {name} IMAGE.tar …\n    \
         helm install huly-network charts/huly-network\n    \
         cargo xtask node kill|start|cut|heal --environment {name} node-1\n\n\
         End it with:\n\n    cargo xtask down --name {name}",
        kubeconfig = environment.keys.admin_kubeconfig().display(),
        logs = environment.logs.display(),
        shell = shell.display(),
    )
}

/// What to type to look around in an environment.
pub(crate) fn how_to_look(environment: &Environment, shell: &Path) -> String {
    format!(
        "The kubeconfig is {kubeconfig}\nThe logs are in {logs}\n\nTo look around:\n\n    \
         source {shell}    # sets KUBECONFIG, HULY_NETWORK and PATH\n    \
         kubectl get containerkinds,containerclaims --all-namespaces\n    \
         huly --network {network} containers\n",
        kubeconfig = environment.keys.admin_kubeconfig().display(),
        logs = environment.logs.display(),
        shell = shell.display(),
        network = environment.network_address(),
    )
}

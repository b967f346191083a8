//! `up` and `down`: an environment that stays until it is taken down.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::environment::{self, Environment, check_name, names};
use crate::files::write_private;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::interrupt::interruptible;
use crate::prerequisites::{self, CONTROL_PLANE, may_install};
use crate::report::step;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct UpArguments {
    /// The environment's name; several can run side by side
    #[arg(long, default_value = "default")]
    name: String,
    /// Start the Kubernetes control plane alone
    #[arg(long)]
    control_plane: bool,
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
    let (go, huly) = interruptible(async {
        prerequisites::ensure(workspace, CONTROL_PLANE, may_install(arguments.install)).await?;
        let go = GoPrograms::build(workspace).await?;
        if arguments.control_plane {
            return Ok((go, None));
        }
        Ok((go, Some(HulyPrograms::build(workspace).await?)))
    })
    .await?;
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
        environment.take_down().await?;
        return Err(error);
    }
    let shell = write_shell_file(workspace, &environment, &go)?;
    println!("\n{}", how_to_look(&environment, &shell));
    println!(
        "End it with:\n\n    cargo xtask down --name {}",
        environment.name()
    );
    Ok(())
}

async fn start_network(
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
    let mut left = Vec::new();
    for name in names(&workspace.environments()) {
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
) -> Result<PathBuf> {
    let path = environment.folder.join("env");
    let (kubectl, helm) = (go.kubectl(), go.helm());
    let text = format!(
        "export KUBECONFIG='{}'\nexport HULY_NETWORK='{}'\nexport PATH='{}':'{}':'{}':\"$PATH\"\n",
        environment.keys.admin_kubeconfig().display(),
        environment.network_address(),
        kubectl.parent().unwrap_or(&kubectl).display(),
        helm.parent().unwrap_or(&helm).display(),
        workspace.binaries().display(),
    );
    write_private(&path, &text)?;
    Ok(path)
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

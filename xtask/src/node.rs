//! `node`: what can happen to one node of a running cluster.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::environment::nodes::Tools;
use crate::environment::{Environment, check_name};
use crate::go_programs::{GoPrograms, NodePrograms};
use crate::interrupt::interruptible;
use crate::prerequisites;
use crate::report::step;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The environment's name
    #[arg(
        long,
        global = true,
        default_value = "default",
        value_name = "NAME",
        alias = "name"
    )]
    environment: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// End a node as a loss of its power does: all at once, no connection is closed
    Kill { node: String },
    /// Start a node that was killed, with what it had stored
    Start { node: String },
    /// Let nothing through a node's cable; what runs there runs on
    Cut { node: String },
    /// Mend a node's cable
    Heal { node: String },
    /// Bring images onto every node, from docker-archive tars
    Load {
        #[arg(required = true)]
        tars: Vec<PathBuf>,
    },
}

/// Does it, and waits until it is done.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    check_name(&arguments.environment)?;
    prerequisites::may_make_nodes()?;
    let mut environment = Environment::open(workspace, &arguments.environment)?;
    match &arguments.action {
        Action::Kill { node } => {
            let node = environment.node(node)?;
            let what = format!("Kill {}", node.name);
            step(what, environment.kill_node(&node)).await
        }
        Action::Cut { node } => {
            let node = environment.node(node)?;
            let what = format!("Cut {} off", node.name);
            step(what, environment.connect_node(&node, false)).await
        }
        Action::Heal { node } => {
            let node = environment.node(node)?;
            let what = format!("Mend the cable of {}", node.name);
            step(what, environment.connect_node(&node, true)).await
        }
        Action::Start { node } => {
            let node = environment.node(node)?;
            // What goes wrong from here on is the start's, and ended with it.
            environment.ensure_down(&node)?;
            let (go, programs) = programs(workspace).await?;
            let tools = Tools {
                cluster: &go,
                node: &programs,
            };
            let what = format!("Start {}", node.name);
            let start = environment.start_nodes(tools, std::slice::from_ref(&node));
            let started = interruptible(step(what, start)).await;
            if started.is_err() {
                // Half a node is none: the next start begins anew.
                environment.end_node(&node).await?;
            }
            started
        }
        Action::Load { tars } => {
            let (_, programs) = programs(workspace).await?;
            for tar in tars {
                let what = format!("Load {} on every node", tar.display());
                let load = environment.load_image(&programs, tar);
                interruptible(step(what, load)).await?;
            }
            Ok(())
        }
    }
}

async fn programs(workspace: &Workspace) -> Result<(GoPrograms, NodePrograms)> {
    interruptible(async {
        Ok((
            GoPrograms::build(workspace).await?,
            NodePrograms::build(workspace).await?,
        ))
    })
    .await
}

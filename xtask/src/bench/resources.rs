//! `bench resources`: memory and CPU of the programs that images are made of, step by step.

mod advice;
mod load;
mod series;
mod usage;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, value_parser};

use self::load::Load;
use self::series::{Pace, Series};
use super::{cores, load_average};
use crate::environment::{AGENTS, Environment, NETWORK, OPERATOR};
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::images;
use crate::interrupt::{interruptible, nothing_started};
use crate::prerequisites::{self, CONTROL_PLANE, IMAGES, may_install};
use crate::report::step;
use crate::up::start_network;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Containers on each of the two agents
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    containers: u32,
    /// Claims that the operator serves
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    claims: u32,
    /// Requests in a second, 64 bytes each
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// How long to look at the programs when they idle, and how long at the requests
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Install what is missing on this machine
    #[arg(long)]
    install: bool,
}

/// Builds and starts everything, loads it step by step, ends it and prints a table.
///
/// # Errors
/// When something does not start, or containers or claims are not there in time.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (go, huly) = interruptible(async {
        let install = may_install(arguments.install);
        prerequisites::ensure(workspace, CONTROL_PLANE, install).await?;
        prerequisites::ensure(workspace, IMAGES, install).await?;
        let go = GoPrograms::build(workspace).await?;
        let packages: Vec<&str> = images::NETWORK.into_iter().chain([load::PACKAGE]).collect();
        let folder = images::programs(workspace, &packages).await?;
        Ok((go, HulyPrograms { folder }))
    })
    .await
    .map_err(nothing_started)?;
    let before = load_average()?;
    let mut environment = Environment::create_unused(workspace, "bench").await?;
    let logs = environment.logs.clone();
    let measured = interruptible(async {
        let control_plane = environment.start_control_plane(&go);
        step("Start the Kubernetes control plane", control_plane).await?;
        start_network(workspace, &mut environment, &go, &huly).await?;
        measure(&mut environment, &go, &huly, arguments).await
    })
    .await;
    let down = step("End everything", environment.take_down()).await;
    if measured.is_err() {
        println!("The logs are in {}", logs.display());
    }
    let (series, said) = measured?;
    let cores = cores()?;
    println!("\n{series}\n{said}");
    println!("\nOn {cores} cores; the machine's load average was {before} before, others' work.\n");
    println!("{}", advice::table(&series.needs()));
    down
}

/// The table, and what the requests came to.
async fn measure(
    environment: &mut Environment,
    go: &GoPrograms,
    huly: &HulyPrograms,
    arguments: &Arguments,
) -> Result<(Series, String)> {
    let mut series = Series::begin(&[
        ("network server", environment.pid(NETWORK)?),
        ("agent", environment.pid(AGENTS[0].name)?),
        ("operator", environment.pid(OPERATOR)?),
    ])?;
    let load = Load {
        go,
        program: huly.folder.join(load::PACKAGE),
    };
    step("Leave all alone", async {
        tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
        Ok(())
    })
    .await?;
    series.note("idle", Pace::Steady)?;

    let count = arguments.containers * u32::try_from(AGENTS.len())?;
    let what = format!("{count} containers made");
    step(&what, load.hold(environment, count)).await?;
    series.note(&what, Pace::Burst)?;

    let what = format!("{} claims bound", arguments.claims);
    step(&what, load.claim(environment, arguments.claims)).await?;
    series.note(&what, Pace::Burst)?;

    let what = format!("{} requests a second", arguments.requests);
    let send = load.send(environment, arguments.requests, arguments.seconds);
    let said = step(&what, send).await?;
    series.note(&what, Pace::Steady)?;
    Ok((series, said))
}

//! The frame of every test.

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::{Context, Result};
use futures::FutureExt;
use rand::RngExt;

use crate::cluster::Cluster;
use crate::live::Live;
use crate::network::{Layout, Network};
use crate::settings::Settings;
use crate::undo::and_undo;

/// What a test works with.
pub struct Scenario {
    /// The API server.
    pub cluster: Cluster,
    /// The test's own network.
    pub network: Network,
    /// What lives in it.
    pub live: Live,
}

/// Runs a test that needs the API server alone, and clears what it made.
///
/// # Errors
/// The story's, or when what was made cannot be deleted.
pub async fn on_cluster(story: impl AsyncFnOnce(&Cluster) -> Result<()>) -> Result<()> {
    let name = unique_name();
    told(Cluster::connect(&name, &name).await?, story).await
}

/// Runs a test of the network that a [`Release`](crate::Release) of the chart brings, and clears what it made
/// there: its kinds and claims are of the network that a chart without values is of.
///
/// # Errors
/// As [`on_cluster`].
pub async fn on_nodes(story: impl AsyncFnOnce(&Cluster) -> Result<()>) -> Result<()> {
    told(Cluster::connect(&unique_name(), "default").await?, story).await
}

async fn told(cluster: Cluster, story: impl AsyncFnOnce(&Cluster) -> Result<()>) -> Result<()> {
    let clean_up = async { cluster.clean_up().await.context("cannot clean up") };
    and_undo(story(&cluster), clean_up).await
}

/// Runs a test in a network of its own and clears what it made, whatever it comes to. The
/// programs' logs are kept, and named, when it fails.
///
/// # Errors
/// The story's, or when the network does not start or what was made cannot be deleted.
pub async fn scenario(
    layout: Layout,
    story: impl AsyncFnOnce(&mut Scenario) -> Result<()>,
) -> Result<()> {
    let settings = Settings::read()?;
    let name = unique_name();
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir()?;
    let told = async {
        let cluster = Cluster::connect(&name, &name).await?;
        let network = Network::start(&name, layout, &settings, folder.path()).await?;
        let live = Live::connect(&network.address).await?;
        let mut scenario = Scenario {
            cluster,
            network,
            live,
        };
        let told = AssertUnwindSafe(story(&mut scenario)).catch_unwind().await;
        let cleaned = scenario.cluster.clean_up().await.context("cannot clean up");
        anyhow::Ok((told, cleaned))
    }
    .await;
    let keep = || format!("the programs' logs are in {}", folder.keep().display());
    match told {
        Ok((Ok(Ok(())), Ok(()))) => Ok(()),
        Ok((Ok(Ok(())), Err(error)) | (Ok(Err(error)), _)) | Err(error) => {
            Err(error.context(keep()))
        }
        Ok((Err(panic), _)) => {
            report(&keep());
            resume_unwind(panic)
        }
    }
}

#[allow(clippy::print_stderr, reason = "a panic's message goes there, too")]
fn report(text: &str) {
    eprintln!("{text}");
}

/// The test's name, as Kubernetes takes names, with something random.
fn unique_name() -> String {
    let thread = std::thread::current();
    let path = thread.name().unwrap_or("test");
    let test = path.rsplit("::").next().unwrap_or(path);
    let plain: String = test
        .chars()
        .map(|character| match character {
            'a'..='z' | '0'..='9' => character,
            _ => '-',
        })
        .take(32)
        .collect();
    let random: u32 = rand::rng().random_range(0..0x0100_0000);
    format!("{}-{random:06x}", plain.trim_matches('-'))
}

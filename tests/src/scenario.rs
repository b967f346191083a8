//! The frame of every test.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use rand::RngExt;
use serde_json::json;

use crate::cluster::Cluster;
use crate::eventually::{SOON, eventually};
use crate::live::Live;
use crate::load::{Fates, Load, SILENCE};
use crate::network::{Layout, Network};
use crate::release::Release;
use crate::report::reported;
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
    load: Option<Load>,
}

impl Scenario {
    /// The name of the ContainerKind of one of the [load's kinds](Load::KINDS).
    pub fn kind_of_load(&self, kind: &str) -> String {
        self.cluster.kind_name(&of_load(kind))
    }

    /// Ends the load behind the story, before the story ends, and says what became of it. No room may
    /// have been silent for `silence`.
    ///
    /// # Errors
    /// When there is none any more, or anything of what [`Load`] promises is not so.
    pub async fn end_load(&mut self, silence: Duration) -> Result<Fates> {
        let load = self.load.take().context("there is no load")?;
        let fates = load.stop(&self.live, silence);
        let fates = fates.await.context("the load")?;
        self.quiet().await?;
        reported(&format!("load: {fates}"));
        Ok(fates)
    }

    /// Waits until nothing waits or is under way at the network server.
    ///
    /// # Errors
    /// When something still does after a while.
    pub async fn quiet(&self) -> Result<()> {
        eventually(SOON, "nothing is under way at the server", async || {
            let metrics = self.network.server.metrics().await?;
            for gauge in ["held_requests", "agent_calls_in_flight"] {
                let now = metrics.sum(&format!("huly_network_{gauge}"), &[])?;
                ensure!(now == 0.0, "{gauge}: {now}");
            }
            Ok(())
        })
        .await
    }

    /// Ends what is left of the load, as every story wants it.
    async fn load_over(&mut self) -> Result<()> {
        if self.load.is_some() {
            self.end_load(SILENCE).await?;
        }
        Ok(())
    }
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

/// The same with the release that the tests share, and a [`Load`] on it from before the story on;
/// what became of the load, no room of which may have been silent for `silence`.
///
/// # Errors
/// As [`on_nodes`], or when the release does not become ready, or anything of what the load promises
/// is not so.
pub async fn on_loaded_nodes(
    silence: Duration,
    story: impl AsyncFnOnce(&Cluster, &Release) -> Result<()>,
) -> Result<Fates> {
    let mut fates = Fates::default();
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        let load = loaded(cluster, release.address()).await?;
        story(cluster, &release).await?;
        let stopped = load.stop(&release.live, silence);
        fates = stopped.await.context("the load")?;
        reported(&format!("load: {fates}"));
        Ok(())
    })
    .await?;
    Ok(fates)
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
        let load = match layout.loaded {
            true => Some(loaded(&cluster, &network.address).await?),
            false => None,
        };
        let mut scenario = Scenario {
            cluster,
            network,
            live,
            load,
        };
        let told = AssertUnwindSafe(async {
            story(&mut scenario).await?;
            scenario.load_over().await
        });
        let told = told.catch_unwind().await;
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

/// Puts a load on a network, whose containers end soon when nobody holds them.
async fn loaded(cluster: &Cluster, address: &str) -> Result<Load> {
    for kind in Load::KINDS {
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 1}});
        let name = cluster.kind_named(&of_load(kind), kind, short).await?;
        cluster.watch_kind(&name).await?.until_ready().await?;
    }
    Load::start(address).await.context("the load")
}

/// What the name of its ContainerKind ends in.
fn of_load(kind: &str) -> String {
    format!("load-{kind}")
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

//! A real Prometheus that finds its targets through the API server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_yaml_ng::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::eventually::eventually;
use crate::http;
use crate::ports::free_port;
use crate::settings::variable;

/// How long it may take to read its old days, of which there are none.
const START: Duration = Duration::from_secs(30);

/// A process of this machine. Dropped, it is killed.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    /// Its configuration, log and data.
    folder: TempDir,
    child: Child,
}

/// One value that a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is now.
    pub value: f64,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    /// Starts one with a configuration that is meant for a Pod. What differs here: it reaches the
    /// API server as the tests do, and looks every second.
    ///
    /// # Errors
    /// When it takes the configuration ill, or is not ready within 30 s.
    pub async fn start(configuration: &str) -> Result<Self> {
        let mut configuration: Value = serde_yaml_ng::from_str(configuration)?;
        configuration["global"]["scrape_interval"] = "1s".into();
        let kubeconfig = variable("HULY_TEST_KUBECONFIG")?.display().to_string();
        for job in list(&mut configuration["scrape_configs"])? {
            for discovery in list(&mut job["kubernetes_sd_configs"])? {
                discovery["kubeconfig_file"] = kubeconfig.clone().into();
            }
        }
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, serde_yaml_ng::to_string(&configuration)?)?;
        let log = File::create(folder.path().join("log"))?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let child = Command::new(variable("HULY_TEST_PROMETHEUS")?)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start prometheus")?;
        let mut started = Self {
            address,
            folder,
            child,
        };
        started.until_ready().await?;
        Ok(started)
    }

    /// What a query finds now.
    ///
    /// # Errors
    /// When it does not answer, or refuses the query.
    pub async fn query(&self, query: &str) -> Result<Vec<Found>> {
        let path = format!("/api/v1/query?query={query}");
        let (status, body) = http::get(&self.address, &path).await?;
        ensure!(status == 200, "{query} is answered {status}: {body}");
        let answer: Answer = serde_json::from_str(&body).context("an answer of Prometheus")?;
        let found = answer.data.result.into_iter().map(|series| {
            let value = series.value.1.parse()?;
            Ok(Found {
                labels: series.metric,
                value,
            })
        });
        found.collect()
    }

    async fn until_ready(&mut self) -> Result<()> {
        eventually(START, "Prometheus is ready", async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}: {}", self.log());
            }
            let (status, body) = http::get(&self.address, "/-/ready").await?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
        .await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Found {
    /// The value of a label; empty if there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }
}

fn list(value: &mut Value) -> Result<&mut Vec<Value>> {
    value
        .as_sequence_mut()
        .context("the configuration has no such list")
}

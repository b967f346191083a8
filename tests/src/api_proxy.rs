//! Between the operator and the API server: what it is told to do wrong, it does.

mod answer;
mod fault;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_yaml_ng::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use self::fault::{Asked, Fault, Verb};
use self::fault::{Rule, asked};

/// A proxy on a port of its own. What it is told to do wrong goes on until it is told to heal.
pub struct ApiProxy {
    address: SocketAddr,
    kubeconfig: PathBuf,
    state: Arc<State>,
    serving: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// What its connections share.
struct State {
    upstream: Client,
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<Asked>>,
    /// The last answer to each list, by path and query.
    lists: Mutex<HashMap<String, Bytes>>,
    /// The same at some time before.
    old_lists: Mutex<HashMap<String, Bytes>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ApiProxy {
    /// Starts one before the API server that a kubeconfig leads to; who asks it is the kubeconfig's
    /// user there.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read, or no port is free.
    pub(crate) async fn start(kubeconfig: &Path) -> Result<Self> {
        let read = Kubeconfig::read_from(kubeconfig)?;
        let mut config =
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let folder = tempfile::tempdir()?;
        let to_here = folder.path().join("kubeconfig");
        let text = std::fs::read_to_string(kubeconfig)?;
        std::fs::write(&to_here, leading_to(&text, address)?)?;
        let state = Arc::new(State {
            upstream: Client::try_from(config)?,
            rules: Mutex::default(),
            asked: Mutex::default(),
            lists: Mutex::default(),
            old_lists: Mutex::default(),
        });
        Ok(Self {
            address,
            kubeconfig: to_here,
            serving: Some(tokio::spawn(serve(listener, state.clone()))),
            state,
            _folder: folder,
        })
    }

    /// A kubeconfig that leads to it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// From now on it answers so what is asked with one of these verbs of paths that contain `path`.
    pub fn fault(&self, verbs: &[Verb], path: &str, fault: Fault) {
        self.add(verbs, path, fault, None);
    }

    /// The same, so many times.
    pub fn fault_times(&self, verbs: &[Verb], path: &str, fault: Fault, times: usize) {
        self.add(verbs, path, fault, Some(times));
    }

    fn add(&self, verbs: &[Verb], path: &str, fault: Fault, left: Option<usize>) {
        locked(&self.state.rules).push(Rule {
            verbs: verbs.to_vec(),
            path: path.to_owned(),
            fault,
            left,
        });
    }

    /// It does nothing wrong any more with what is asked from now on.
    pub fn heal(&self) {
        locked(&self.state.rules).clear();
    }

    /// Keeps the lists as they were answered last, for [`Fault::Old`].
    pub fn remember_lists(&self) {
        let lists = locked(&self.state.lists).clone();
        *locked(&self.state.old_lists) = lists;
    }

    /// Closes all connections and listens no more.
    pub async fn refuse(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // It was aborted: that is all that it says.
            let _ = serving.await;
        }
    }

    /// Listens again.
    ///
    /// # Errors
    /// When somebody else has its port.
    pub async fn listen(&mut self) -> Result<()> {
        ensure!(self.serving.is_none(), "it listens");
        let listener = TcpListener::bind(self.address).await?;
        self.serving = Some(tokio::spawn(serve(listener, self.state.clone())));
        Ok(())
    }

    /// Closes all connections; new ones are taken.
    ///
    /// # Errors
    /// When somebody else has its port.
    pub async fn cut(&mut self) -> Result<()> {
        self.refuse().await;
        self.listen().await
    }

    /// What it was asked since, in order.
    pub fn asked_since(&self, since: Instant) -> Vec<Asked> {
        let asked = locked(&self.state.asked);
        let later = asked.iter().filter(|asked| asked.at >= since);
        later.cloned().collect()
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// The kubeconfig with another address, without TLS.
fn leading_to(kubeconfig: &str, address: SocketAddr) -> Result<String> {
    let mut config: Value = serde_yaml_ng::from_str(kubeconfig)?;
    let cluster = config["clusters"][0]["cluster"].as_mapping_mut();
    let cluster = cluster.context("a kubeconfig without a cluster")?;
    cluster.clear();
    cluster.insert("server".into(), format!("http://{address}").into());
    Ok(serde_yaml_ng::to_string(&config)?)
}

/// Serves until it is aborted; its connections are closed then.
async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = state.clone();
                connections.spawn(async move {
                    let answer = service_fn(|request: Request<Incoming>| {
                        let state = state.clone();
                        async move {
                            let number = state.note(&request);
                            // Without an answer the connection is closed.
                            state.answer(number, request).await.map_err(|error| format!("{error:#}"))
                        }
                    });
                    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                    // Who asked sees how it ended.
                    let _ = served.await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl State {
    fn note(&self, request: &Request<Incoming>) -> usize {
        let mut all = locked(&self.asked);
        all.push(asked(request));
        all.len() - 1
    }

    /// What is to be done wrong with it.
    fn fault_for(&self, asked: &Asked) -> Option<Fault> {
        let mut rules = locked(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.is_for(asked))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault)
    }
}

//! What /livez and /readyz of an agent say.

use futures::future::BoxFuture;
use huly_program::Probe;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::runtime::{Control, State};

pub(crate) struct Health {
    /// Weak, so that the agent ends with its handle.
    pub(crate) control: mpsc::WeakUnboundedSender<Control>,
    pub(crate) workers: Handle,
    pub(crate) network: String,
}

impl Health {
    async fn ask(&self) -> Result<State, String> {
        let gone = || "the agent's thread has ended".to_owned();
        let (answer, asked) = oneshot::channel();
        let control = self.control.upgrade().ok_or_else(gone)?;
        control.send(Control::Ask(answer)).map_err(|_| gone())?;
        drop(control);
        asked.await.map_err(|_| gone())
    }
}

impl Probe for Health {
    fn live(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            self.ask().await?;
            let worker = self.workers.spawn(async {});
            worker
                .await
                .map_err(|_| "the workers have ended".to_owned())
        })
    }

    fn ready(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            let state = self.ask().await?;
            if state.draining {
                return Err(format!(
                    "leaving: {} containers are still to end",
                    state.containers
                ));
            }
            if state.fenced {
                return Err("paused for longer than its lease: waits for registration".to_owned());
            }
            if !state.registered {
                return Err(format!("waits for its registration at {}", self.network));
            }
            Ok(format!("registered\ncontainers: {}", state.containers))
        })
    }
}

//! What a test's network has in place of the operator: it tells each server the kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use huly_protocol::KindSpec;
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::direct::lock;
use crate::error::Error;

pub(super) struct Operator {
    kinds: Arc<Kinds>,
    task: AbortHandle,
}

struct Kinds {
    client: Client,
    specs: Mutex<BTreeMap<String, KindSpec>>,
}

impl Operator {
    pub(super) fn start(client: Client) -> Self {
        let kinds = Arc::new(Kinds {
            client,
            specs: Mutex::default(),
        });
        let task = tokio::spawn(tell_each_server(kinds.clone())).abort_handle();
        Self { kinds, task }
    }

    pub(super) async fn set(&self, spec: KindSpec) -> Result<(), Error> {
        lock(&self.kinds.specs).insert(spec.kind.clone(), spec);
        self.kinds.tell().await
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kinds {
    async fn tell(&self) -> Result<(), Error> {
        let specs = lock(&self.specs).clone();
        for spec in specs.values() {
            self.client.set_kind(spec.clone()).await?;
        }
        self.client
            .kind_barrier(specs.into_keys().collect())
            .await?;
        Ok(())
    }
}

async fn tell_each_server(kinds: Arc<Kinds>) {
    let mut session = kinds.client.session();
    let mut told = 0;
    loop {
        // An error means that the client has ended.
        let Ok(up) = session
            .wait_for(|state| state.up && state.generation > told)
            .await
            .map(|state| state.generation)
        else {
            return;
        };
        if kinds.tell().await.is_ok() {
            told = up;
        }
    }
}

//! What the operator says: specifications of kinds, the sync of durable references.

use huly_protocol::{KindBarrier, KindSpec, Sync, Synced, method};
use huly_session::Call;

use crate::Json;
use crate::client::Client;
use crate::error::Error;
use crate::operation::Operation;

/// Durable references in one chunk of a sync.
const SYNC_CHUNK: usize = 1_000;

impl Client {
    /// The specifications of kinds that the server knows.
    ///
    /// # Errors
    /// When the server does not answer in time, or is an original one.
    pub async fn kind_specs(&self) -> Result<Vec<KindSpec>, Error> {
        let nothing = serde_json::Map::new();
        self.ask(Operation::List, method::LIST_KIND_SPECS, &nothing)
            .await
    }

    /// Sets the specification of a kind. Needs the control secret.
    ///
    /// # Errors
    /// `NotAllowed` without the secret; when the server does not answer in time.
    pub async fn set_kind(&self, spec: KindSpec) -> Result<(), Error> {
        self.ask::<_, Json>(Operation::Control, method::SET_KIND, &spec)
            .await?;
        Ok(())
    }

    /// Says that `kinds` are all that have a specification; returns those that lost theirs. Needs
    /// the control secret.
    ///
    /// # Errors
    /// `NotAllowed` without the secret; when the server does not answer in time.
    pub async fn kind_barrier(&self, kinds: Vec<String>) -> Result<Vec<String>, Error> {
        let barrier = KindBarrier { kinds };
        self.ask(Operation::Control, method::REMOVE_KINDS, &barrier)
            .await
    }

    /// Says that `uuids` are all that this client holds durably: others are released. Needs the
    /// control secret.
    ///
    /// # Errors
    /// `Interrupted` when the server's session became another meanwhile: nothing was released,
    /// begin again. `NotAllowed` without the secret.
    pub async fn sync(&self, uuids: Vec<String>) -> Result<Synced, Error> {
        let syncing = async {
            self.await_ready(self.inner.config.request_timeout).await?;
            self.sync_chunks(uuids).await
        };
        self.during(Operation::Control, syncing).await
    }

    async fn sync_chunks(&self, uuids: Vec<String>) -> Result<Synced, Error> {
        let handle = &self.inner.handle;
        // A half of a sync would release what is in the other.
        let session = handle.state.borrow().session.clone();
        let sync = self.inner.ground.uuid().to_string();
        let mut rest = uuids;
        let mut chunk = 0;
        loop {
            let next = rest.split_off(rest.len().min(SYNC_CHUNK));
            let last = next.is_empty();
            let part = Sync {
                sync: sync.clone(),
                chunk,
                uuids: rest,
                last,
            };
            let params = Json::of(&part).map_err(|error| Error::unwritable(&error))?;
            let call = Call {
                only_in: session.clone(),
                ..Call::new(handle.number(), method::SYNC, params)
            };
            let answer = handle.call(call).await?;
            if last {
                return answer
                    .read()
                    .map_err(|error| Error::protocol("the answer to a sync", &error));
            }
            rest = next;
            chunk += 1;
        }
    }
}

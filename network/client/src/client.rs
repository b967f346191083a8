use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use huly_protocol::{
    AgentInfo, ContainerCall, ContainerRecord, Epoch, Find, GetParams, GotContainer, HeldEvent,
    KindBarrier, KindSpec, Sync, Synced, method,
};
use huly_session::{Call, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::Json;
use crate::agent::AgentLink;
use crate::builder::ClientBuilder;
use crate::direct::Pool;
use crate::error::{Error, ErrorKind};
use crate::get::Get;
use crate::ground::Ground;
use crate::handle::{Command, Handle};
use crate::state::SessionState;
use crate::updates::{Update, updates_of};

/// Durable references in one chunk of a sync.
const SYNC_CHUNK: usize = 1_000;

/// A client of a network. Cheap to clone; the clones share one session.
///
/// One task on the runtime where it was built owns the connection. When the last clone, handle and
/// link are dropped, the session is closed and what it held is released.
///
/// ```no_run
/// # async fn example() -> Result<(), huly_client::Error> {
/// use huly_client::Client;
///
/// let client = Client::builder("127.0.0.1:3737").build();
/// let room = client.get("chat-room").uuid("room-general").await?;
/// let text = serde_json::json!({ "text": "hello" });
/// let answer: serde_json::Value = room.request("say", &text).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) ground: Ground,
    pub(crate) handle: Handle,
    pub(crate) pool: Pool,
    pub(crate) requests: AtomicU64,
}

impl Client {
    /// Makes a client of the network server at `server`, `host:port`.
    pub fn builder(server: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(server.into())
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        &self.inner.config.client_id
    }

    /// Waits until the server knows the client, or the client is closed. Calls need not wait for
    /// it: they do themselves, up to their deadlines.
    pub async fn ready(&self) {
        self.inner.handle.ready().await;
    }

    /// Where the session with the server stands, now and later.
    pub fn session(&self) -> watch::Receiver<SessionState> {
        self.inner.handle.state.clone()
    }

    /// Gets a container of a kind and holds a reference: await the builder.
    pub fn get(&self, kind: impl Into<String>) -> Get {
        Get::new(self.clone(), kind.into())
    }

    /// Gets a container for a caller that counts its own handles: the reference stays until
    /// [`release_raw`](Self::release_raw), and is asserted again to a server that restarts.
    ///
    /// # Errors
    /// As of any get.
    pub async fn get_raw(&self, params: GetParams) -> Result<GotContainer, Error> {
        self.inner.handle.get_raw(params, None).await
    }

    /// Releases what [`get_raw`](Self::get_raw) got, in this process or an earlier one.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn release_raw(&self, uuid: impl Into<String>) -> Result<(), Error> {
        self.inner.handle.release(uuid.into(), true).await
    }

    /// Sends a request to a container, whether a reference is held or not.
    ///
    /// Without a reference nobody knows which life of the container was asked: where the connection
    /// ends before the answer, the request is not sent again unless it is idempotent.
    ///
    /// # Errors
    /// The container's own, and those of the way there.
    pub async fn request_json(
        &self,
        uuid: &str,
        operation: &str,
        data: Json,
        options: RequestOptions,
    ) -> Result<Json, Error> {
        let life = Life::default();
        self.routed(None, uuid, operation, &data, options, life)
            .await
    }

    /// An id for a request that may take more than one route.
    pub(crate) fn request_id(&self) -> String {
        let number = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        format!("{}d{number}", self.inner.config.request_prefix)
    }

    pub(crate) async fn routed(
        &self,
        id: Option<String>,
        uuid: &str,
        operation: &str,
        data: &Json,
        options: RequestOptions,
        life: Life,
    ) -> Result<Json, Error> {
        let handle = &self.inner.handle;
        let call = Call {
            id,
            timeout: options.timeout,
            idempotent: options.idempotent,
            epoch: life.epoch,
            sent_before: life.sent_before,
            ..Call::new(
                handle.number(),
                method::CONTAINER_REQUEST,
                container_call(uuid, operation, data)?,
            )
        };
        handle.call(call).await
    }

    /// The agents of the network.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn agents(&self) -> Result<Vec<AgentInfo>, Error> {
        self.ask(method::LIST_AGENTS, &empty()).await
    }

    /// The kinds that agents serve.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn kinds(&self) -> Result<Vec<String>, Error> {
        self.ask(method::LIST_KINDS, &empty()).await
    }

    /// The containers of the network, or those of one kind.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn containers(&self, kind: Option<&str>) -> Result<Vec<ContainerRecord>, Error> {
        let find = Find {
            kind: kind.map(str::to_owned),
        };
        self.ask(method::LIST_CONTAINERS, &find).await
    }

    /// The specifications of kinds that the server knows.
    ///
    /// # Errors
    /// When the server does not answer in time, or is an original one.
    pub async fn kind_specs(&self) -> Result<Vec<KindSpec>, Error> {
        self.ask(method::LIST_KIND_SPECS, &empty()).await
    }

    /// Sets the specification of a kind. Needs the control secret.
    ///
    /// # Errors
    /// `NotAllowed` without the secret; when the server does not answer in time.
    pub async fn set_kind(&self, spec: KindSpec) -> Result<(), Error> {
        self.ask::<_, Json>(method::SET_KIND, &spec).await?;
        Ok(())
    }

    /// Says that `kinds` are all that have a specification; returns those that lost theirs. Needs
    /// the control secret.
    ///
    /// # Errors
    /// `NotAllowed` without the secret; when the server does not answer in time.
    pub async fn kind_barrier(&self, kinds: Vec<String>) -> Result<Vec<String>, Error> {
        self.ask(method::REMOVE_KINDS, &KindBarrier { kinds }).await
    }

    /// Says that `uuids` are all that this client holds durably: others are released. Needs the
    /// control secret.
    ///
    /// # Errors
    /// `Interrupted` when the server's session became another meanwhile: nothing was released,
    /// begin again. `NotAllowed` without the secret.
    pub async fn sync(&self, uuids: Vec<String>) -> Result<Synced, Error> {
        let patience = self.inner.config.request_timeout;
        if tokio::time::timeout(patience, self.ready()).await.is_err() {
            let message = "the network server could not be reached in time";
            return Err(Error::new(ErrorKind::TimedOut, message));
        }
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

    /// What happens in the network: a snapshot in pieces, then each event. After a fresh session
    /// or a gap it begins again with [`Update::Reset`]. Each subscriber begins with a snapshot of
    /// its own, which the others get too.
    ///
    /// What is not read is kept in memory. An original (TypeScript) server has no feed: nothing
    /// comes.
    pub fn updates(&self) -> impl Stream<Item = Update> + Send + Unpin + use<> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // If the client is closed, the stream ends.
        let _ = self.inner.handle.send(Command::Watch(sender));
        updates_of(receiver)
    }

    /// What happens to containers that this client holds.
    pub fn held(&self) -> impl Stream<Item = HeldEvent> + Send + Unpin + use<> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // If the client is closed, the stream ends.
        let _ = self.inner.handle.send(Command::WatchHeld(sender));
        UnboundedReceiverStream::new(receiver)
    }

    /// Serves an agent over this client's connection.
    pub fn serve_agent(&self) -> AgentLink {
        AgentLink::new(self.inner.handle.clone())
    }

    /// Calls a method of the protocol with parameters as they are.
    ///
    /// # Errors
    /// The server's, and the deadline's.
    pub async fn call_raw(
        &self,
        method: impl Into<String>,
        params: Json,
        timeout: Option<Duration>,
    ) -> Result<Json, Error> {
        let handle = &self.inner.handle;
        let call = Call {
            timeout,
            ..Call::new(handle.number(), method.into(), params)
        };
        handle.call(call).await
    }

    async fn ask<P: Serialize, R: DeserializeOwned>(
        &self,
        name: &'static str,
        params: &P,
    ) -> Result<R, Error> {
        let params = Json::of(params).map_err(|error| Error::unwritable(&error))?;
        let handle = &self.inner.handle;
        let answer = handle
            .call(Call::new(handle.number(), name, params))
            .await?;
        let what = "the network server's answer cannot be read";
        answer.read().map_err(|error| Error::protocol(what, &error))
    }

    /// Leaves without releasing durable references; others go as with [`close`](Self::close).
    pub async fn detach(&self) {
        self.leave(Command::Detach).await;
    }

    /// Leaves and releases everything, and waits until the server knows, for half a second at
    /// most. What is called afterwards fails with `Closed`.
    pub async fn close(&self) {
        self.leave(Command::Close).await;
    }

    async fn leave(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, left) = oneshot::channel();
        if self.inner.handle.send(command(done)).is_ok() {
            // Dropped, the task has ended too.
            let _ = left.await;
        }
    }
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// How long it may take; the client's own request time-out when absent.
    pub timeout: Option<Duration>,
    /// It may run more than once: where it is not known whether it ran, it is sent again until its
    /// time is over, instead of failing with [`ErrorKind::OutcomeUnknown`](crate::ErrorKind).
    pub idempotent: bool,
}

/// Which life of a container a request is for: should it be sent again, it must not run in another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Life {
    /// What the caller knows of it.
    pub(crate) epoch: Option<Epoch>,
    /// Whether the request was sent on another route before.
    pub(crate) sent_before: bool,
}

pub(crate) fn container_call(uuid: &str, operation: &str, data: &Json) -> Result<Json, Error> {
    Json::of(&ContainerCall {
        uuid: uuid.into(),
        operation: operation.into(),
        data: data.raw(),
        ext: None,
    })
    .map_err(|error| Error::unwritable(&error))
}

fn empty() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::new()
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use huly_protocol::{AgentInfo, ContainerRecord, Find, GetParams, GotContainer, HeldEvent, method};
use huly_session::direct::ContainerRequest;
use huly_session::{Call, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::Json;
use crate::agent::AgentLink;
use crate::builder::ClientBuilder;
use crate::chain::CallChain;
use crate::direct::Pool;
use crate::error::{During, Error, ErrorKind};
use crate::flight::Flight;
use crate::get::Get;
use crate::ground::Ground;
use crate::handle::{Command, Handle};
use crate::operation::Operation;
use crate::request::{Request, Way};
use crate::state::SessionState;
use crate::updates::{Update, updates_of};

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
    /// `host:port`.
    pub(crate) server: String,
    pub(crate) config: Config,
    pub(crate) ground: Ground,
    pub(crate) handle: Handle,
    pub(crate) pool: Pool,
    pub(crate) requests: AtomicU64,
    pub(crate) flight: Flight,
}

impl Client {
    /// Makes a client of the network server at `server`: `host:port`, or a host alone for the port
    /// that the network has by custom, [`ClientBuilder::PORT`].
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

    /// The same, for at most so long: for programs that rather end than wait.
    ///
    /// # Errors
    /// `TimedOut`; `Closed` or `Superseded` once the session is over.
    pub async fn ready_within(&self, patience: Duration) -> Result<(), Error> {
        self.await_ready(patience).await.during(Operation::Ready)
    }

    pub(crate) async fn await_ready(&self, patience: Duration) -> Result<(), Error> {
        let handle = &self.inner.handle;
        let mut state = handle.state.clone();
        let up = state.wait_for(|state| state.up);
        match timeout(patience, up).await {
            Ok(Ok(_)) => Ok(()),
            // The task has ended.
            Ok(Err(_)) => Err(handle.over()),
            Err(_) => {
                let message = format!("no network server answers at {}", self.inner.server);
                Err(Error::new(ErrorKind::TimedOut, message))
            }
        }
    }

    /// Measures the way to the network server: a call that changes nothing, and its answer. It
    /// does not measure the way to any container; a request does.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let pinging = async {
            self.await_ready(self.inner.config.request_timeout).await?;
            let began = Instant::now();
            let handle = &self.inner.handle;
            let params = Json::of(&empty()).map_err(|error| Error::unwritable(&error))?;
            let call = Call::new(handle.number(), method::LIST_KINDS, params);
            handle.call(call).await?;
            Ok(began.elapsed())
        };
        self.during(Operation::Ping, pinging).await
    }

    /// How long a call of this client may take that does not say it.
    pub fn request_timeout(&self) -> Duration {
        self.inner.config.request_timeout
    }

    /// Where the session with the server stands, now and later.
    pub fn session(&self) -> watch::Receiver<SessionState> {
        self.inner.handle.state.clone()
    }

    /// How often what callers of this client asked for was sent again: over another connection to
    /// the network server, or through it after a direct connection was cut. It only grows.
    pub fn resent(&self) -> u64 {
        self.inner.handle.resent.load(Ordering::Relaxed)
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
        self.during(Operation::Get, self.inner.handle.get_raw(params, None))
            .await
    }

    /// Releases what [`get_raw`](Self::get_raw) got, in this process or an earlier one.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn release_raw(&self, uuid: impl Into<String>) -> Result<(), Error> {
        self.release_in_time(uuid.into(), true).await
    }

    /// Waits for a release as long as for any call. It is kept to all the same: the reference goes
    /// as soon as the server is reached.
    pub(crate) async fn release_in_time(&self, uuid: String, raw: bool) -> Result<(), Error> {
        let releasing = self.inner.handle.release(uuid, raw);
        let released = timeout(self.inner.config.request_timeout, releasing).await;
        let late = "the network server did not answer in time; it is told as soon as it is reached";
        let released = released.unwrap_or_else(|_| Err(Error::new(ErrorKind::TimedOut, late)));
        released.during(Operation::Release)
    }

    /// Sends a request to a container, whether a reference is held or not: await the builder.
    ///
    /// Without a reference nobody knows which life of the container was asked: where the connection
    /// ends before the answer, the request is not sent again unless it is idempotent.
    ///
    /// # Errors
    /// The container's own, and those of the way there.
    pub fn request<'a, T: Serialize + ?Sized, R: DeserializeOwned>(
        &'a self,
        uuid: &'a str,
        operation: &'a str,
        data: &T,
    ) -> Request<'a, R> {
        Request::new(Way::Uuid(self, uuid), operation, data)
    }

    /// The same of JSON text.
    ///
    /// # Errors
    /// As of [`request`](Self::request).
    pub async fn request_json(
        &self,
        uuid: &str,
        operation: &str,
        data: Json,
        options: RequestOptions,
    ) -> Result<Json, Error> {
        let asking = self.routed(ContainerRequest {
            timeout: options.timeout,
            idempotent: options.idempotent,
            chain: CallChain::current().chain(),
            ..ContainerRequest::new(uuid, operation, data)
        });
        self.during(Operation::Request, asking).await
    }

    /// An id for a request that may take more than one route.
    pub(crate) fn request_id(&self) -> String {
        let number = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        format!("{}d{number}", self.inner.config.request_prefix)
    }

    pub(crate) async fn routed(&self, request: ContainerRequest) -> Result<Json, Error> {
        let handle = &self.inner.handle;
        let call = request.routed(handle.number());
        handle
            .call(call.map_err(|error| Error::unwritable(&error))?)
            .await
    }

    /// The agents of the network.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn agents(&self) -> Result<Vec<AgentInfo>, Error> {
        self.ask(Operation::List, method::LIST_AGENTS, &empty())
            .await
    }

    /// The kinds that agents serve.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn kinds(&self) -> Result<Vec<String>, Error> {
        self.ask(Operation::List, method::LIST_KINDS, &empty())
            .await
    }

    /// The containers of the network, or those of one kind.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn containers(&self, kind: Option<&str>) -> Result<Vec<ContainerRecord>, Error> {
        let find = Find {
            kind: kind.map(str::to_owned),
        };
        self.ask(Operation::List, method::LIST_CONTAINERS, &find)
            .await
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
        self.during(Operation::Call, handle.call(call)).await
    }

    pub(crate) async fn ask<P: Serialize, R: DeserializeOwned>(
        &self,
        operation: Operation,
        name: &'static str,
        params: &P,
    ) -> Result<R, Error> {
        let asking = async {
            let params = Json::of(params).map_err(|error| Error::unwritable(&error))?;
            let handle = &self.inner.handle;
            let answer = handle
                .call(Call::new(handle.number(), name, params))
                .await?;
            let what = "the network server's answer cannot be read";
            answer.read().map_err(|error| Error::protocol(what, &error))
        };
        self.during(operation, asking).await
    }

    /// Does what a caller asks for, as long as the client takes it; an error says what it was.
    pub(crate) async fn during<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _under_way = self.inner.flight.begin().during(operation)?;
        work.await.during(operation)
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

fn empty() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::new()
}

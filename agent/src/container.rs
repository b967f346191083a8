//! What an application writes: a container, and what it is told and may do.

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use huly_client::CallChain;
use huly_protocol::{Epoch, ErrorCode, ErrorPayload, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};

use crate::core::{Audience, Id, Input, Run};

/// A container: an actor that is asked things by its uuid, wherever it lives.
///
/// Requests start in the order in which a client sent them and interleave at their awaits; two of
/// one container never run at the same instant, so state behind a mutex is never contended. A panic
/// ends this container and no other. Work that takes long without an await belongs in tokio's
/// `spawn_blocking`: a container that blocks its worker holds up others and is named in the log.
pub trait Container: Send + Sync + 'static {
    /// Answers a request.
    fn request(&self, call: Call) -> impl Future<Output = Result<Json, ContainerError>> + Send;

    /// A client connected for the container's events.
    fn connected(&self, client: &str) -> impl Future<Output = ()> + Send {
        let _ = client;
        async {}
    }

    /// A client disconnected or is away. It may come back.
    fn disconnected(&self, client: &str) -> impl Future<Output = ()> + Send {
        let _ = client;
        async {}
    }

    /// The container, which was made beforehand ([`Kinds::stateless`](crate::Kinds::stateless), or a
    /// ContainerKind's `stateless.uuid`), has its uuid now: requests follow when this has returned,
    /// within the kind's start timeout. Before that it stood by.
    ///
    /// # Errors
    /// When it cannot: it is ended, and another one is to have the uuid.
    fn activated(
        &self,
        activation: Activation,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send {
        let _ = activation;
        async { Ok(()) }
    }

    /// Whether the container is well. It is asked regularly (`--ping-interval-ms`), past the requests
    /// that wait; where the network server is an original one, also at each get.
    ///
    /// # Errors
    /// What is wrong. The container is ended then, as it is after a panic here or when there is no
    /// answer in time (`--ping-timeout-ms`), and placed again if somebody holds a reference.
    fn ping(&self) -> impl Future<Output = Result<(), ContainerError>> + Send {
        async { Ok(()) }
    }

    /// The container is being ended: no request follows. When this has returned and the requests
    /// that run are answered, or when its grace is over, the container is dropped.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a container is told that has its uuid now; see [`Container::activated`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Activation {
    /// Which life of the uuid it is; none where the server does not count. It is higher than that
    /// of any that had the uuid before.
    pub epoch: Option<Epoch>,
    /// Its container labels.
    pub labels: Vec<String>,
    /// What its first get hands to it.
    pub extra: Option<Json>,
}

/// A request to a container.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub operation: String,
    /// With what: any JSON value.
    pub data: Json,
    /// The client that asks, where that is known.
    pub client: Option<String>,
}

impl Call {
    /// Reads the data.
    ///
    /// # Errors
    /// When it is not of `T`'s shape: the caller is told.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ContainerError> {
        self.data.read().map_err(|cause| {
            let message = format!("wrong data of operation {:?}: {cause}", self.operation);
            ContainerError::with_code(ErrorCode::BadRequest, message)
        })
    }

    /// The error for an operation that the container does not know, naming those that it does.
    pub fn unknown(&self, known: &[&str]) -> ContainerError {
        let message = format!(
            "unknown operation {:?}; known: {}",
            self.operation,
            known.join(", ")
        );
        ContainerError::with_code(ErrorCode::BadRequest, message)
    }
}

/// The answer to a request: the JSON of a value.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn answer<T: Serialize + ?Sized>(value: &T) -> Result<Json, ContainerError> {
    Json::of(value).map_err(ContainerError::from)
}

/// Why a container could not start or answer. Any error becomes one by `?`.
#[derive(Debug, Clone)]
pub struct ContainerError {
    code: ErrorCode,
    message: String,
}

impl ContainerError {
    /// The container's own error.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with_code(ErrorCode::Failed, message)
    }

    /// An error with another code. Those by which an agent says that a request did not run (`Gone`,
    /// `Interrupted`, `NoSuchContainer`, `TimedOut`) reach the caller as `Failed`: this one ran.
    pub fn with_code(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: std::error::Error> From<E> for ContainerError {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl From<ContainerError> for ErrorPayload {
    fn from(error: ContainerError) -> Self {
        let code = match error.code {
            // By these an agent says that a request did not run, and the network server has it wait
            // for the next life: of somebody else's, which a container passes on, that is not so.
            // A time that ran out within the container says no more.
            ErrorCode::Gone
            | ErrorCode::Interrupted
            | ErrorCode::NoSuchContainer
            | ErrorCode::TimedOut => ErrorCode::Failed,
            code => code,
        };
        Self::new(code, error.message)
    }
}

/// What a container knows of itself and may do.
#[derive(Debug, Clone)]
pub struct ContainerContext {
    /// Its uuid.
    pub uuid: String,
    /// Its kind.
    pub kind: String,
    /// Its container labels.
    pub labels: Vec<String>,
    /// What its first get handed to it.
    pub extra: Option<Json>,
    /// Which life of the uuid it is; none where the server does not count.
    pub epoch: Option<Epoch>,
    /// The agent that hosts it.
    pub agent: String,
    /// Tells its clients things.
    pub broadcast: Broadcaster,
    pub(crate) end: Arc<Notify>,
    pub(crate) tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

impl ContainerContext {
    /// Reads what its first get handed to it.
    ///
    /// # Errors
    /// When there is something and it is not of `T`'s shape.
    pub fn read_extra<T: DeserializeOwned>(&self) -> Result<Option<T>, ContainerError> {
        let read = self.extra.as_ref().map(Json::read).transpose();
        read.map_err(|cause| ContainerError::new(format!("wrong extra: {cause}")))
    }

    /// Ends the container. If somebody holds a reference the server places it anew.
    pub fn end(&self) {
        self.end.notify_one();
    }

    /// Runs a future beside the requests, until the container ends. It never runs at the same
    /// instant as one of them, and its panic is the container's.
    ///
    /// What it calls counts as called in the request that it was spawned in, if that is not answered
    /// yet: see [`CallChain`].
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A container that has ended runs nothing.
        let _ = self.tasks.send(Box::pin(CallChain::current().scope(task)));
    }
}

/// Tells the clients of a container things, over the agent's own ROUTER, and over the container's
/// where it has one. Events are not kept: who is not connected does not get them.
#[derive(Debug, Clone)]
pub struct Broadcaster {
    pub(crate) run: Run,
    pub(crate) reports: mpsc::UnboundedSender<Input>,
}

impl Broadcaster {
    /// Tells every connected client.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn send<T: Serialize + ?Sized>(&self, event: &T) -> Result<(), ContainerError> {
        self.report(Audience::All, event)
    }

    /// Tells one client, if it is connected.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn send_to<T: Serialize + ?Sized>(
        &self,
        client: &str,
        event: &T,
    ) -> Result<(), ContainerError> {
        self.report(Audience::Client(Id::from(client)), event)
    }

    fn report<T: Serialize + ?Sized>(&self, to: Audience, event: &T) -> Result<(), ContainerError> {
        let data = Json::of(event)?;
        // An agent that ends has nobody to tell.
        let _ = self.reports.send(Input::Event {
            run: self.run,
            to,
            data,
        });
        Ok(())
    }
}

/// A container behind a pointer.
pub(crate) trait DynContainer: Send + Sync {
    fn request(&self, call: Call) -> BoxFuture<'_, Result<Json, ContainerError>>;
    fn connected<'a>(&'a self, client: &'a str) -> BoxFuture<'a, ()>;
    fn disconnected<'a>(&'a self, client: &'a str) -> BoxFuture<'a, ()>;
    fn activated(&self, activation: Activation) -> BoxFuture<'_, Result<(), ContainerError>>;
    fn ping(&self) -> BoxFuture<'_, Result<(), ContainerError>>;
    fn stop(&self) -> BoxFuture<'_, ()>;
}

impl<C: Container> DynContainer for C {
    fn request(&self, call: Call) -> BoxFuture<'_, Result<Json, ContainerError>> {
        Box::pin(Container::request(self, call))
    }
    fn connected<'a>(&'a self, client: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(Container::connected(self, client))
    }
    fn disconnected<'a>(&'a self, client: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(Container::disconnected(self, client))
    }
    fn activated(&self, activation: Activation) -> BoxFuture<'_, Result<(), ContainerError>> {
        Box::pin(Container::activated(self, activation))
    }
    fn ping(&self) -> BoxFuture<'_, Result<(), ContainerError>> {
        Box::pin(Container::ping(self))
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(Container::stop(self))
    }
}

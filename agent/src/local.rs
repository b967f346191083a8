//! What an application asks of its own agent.

use futures::Stream;
use huly_client::{CallChain, Error, ErrorKind, Get};
use huly_protocol::{CallExt, ContainerRecord, ErrorPayload, Json, method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use crate::core::AgentUpdate;
use crate::run::AgentHandle;
use crate::runtime::{Control, LinkCall, Reply};

impl AgentHandle {
    /// Gets a container of a kind and holds a reference: await the builder. Where none lives yet it
    /// starts on this agent.
    ///
    /// The network server is asked, as by any client: it alone knows whether the uuid lives
    /// elsewhere, and gives each life its epoch. So there is none while it is away. A container
    /// that lives on another agent is got there.
    pub fn get(&self, kind: impl Into<String>) -> Get {
        self.client().get(kind).on_agent(self.id())
    }

    /// The containers that live here, of a kind or all.
    ///
    /// # Errors
    /// `Closed` when the agent has left.
    pub async fn list(&self, kind: Option<&str>) -> Result<Vec<ContainerRecord>, Error> {
        let kind = kind.map(str::to_owned);
        let (answer, listed) = oneshot::channel();
        let sent = self.control.send(Control::List { kind, answer });
        sent.map_err(|_| left())?;
        listed.await.map_err(|_| left())
    }

    /// Sends a request to a container that lives here, past the network server. It may take as long
    /// as a call of the agent's client ([`Client::request_timeout`](huly_client::Client::request_timeout)).
    ///
    /// # Errors
    /// The container's own; `NoSuchContainer`; `TimedOut` when it waited all that time and did not
    /// run, `OutcomeUnknown` when it may have; `Closed` when the agent has left.
    pub async fn request<D, A>(&self, uuid: &str, operation: &str, data: &D) -> Result<A, Error>
    where
        D: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let limit = self.client().request_timeout();
        let ext = CallExt {
            timeout_ms: Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            chain: CallChain::current().chain(),
            ..CallExt::default()
        };
        let params = (uuid, operation, data);
        let call = self.call(method::CONTAINER_REQUEST, &params, &ext);
        let Ok(answer) = tokio::time::timeout(limit, call).await else {
            let message = "outcome unknown: the container did not answer in time";
            return Err(Error::new(ErrorKind::OutcomeUnknown, message));
        };
        answer
    }

    /// Ends a container that lives here and waits until it has. If somebody holds a reference, the
    /// network server places it again.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Closed` when the agent has left.
    pub async fn terminate(&self, uuid: &str) -> Result<(), Error> {
        let uuid = uuid.to_owned();
        self.ask(|reply| Control::Terminate { uuid, reply })
            .await
            .map(drop)
    }

    /// What becomes of the agent's containers from now on. What is not read is kept in memory; the
    /// stream ends with the agent.
    pub fn updates(&self) -> impl Stream<Item = AgentUpdate> + Send + Unpin + use<> {
        let (sender, mut updates) = mpsc::unbounded_channel();
        // Of an agent that has left the stream has ended.
        let _ = self.control.send(Control::Watch(sender));
        futures::stream::poll_fn(move |context| updates.poll_recv(context))
    }

    async fn call<A: DeserializeOwned>(
        &self,
        name: &str,
        params: &impl Serialize,
        ext: &CallExt,
    ) -> Result<A, Error> {
        let unwritable = |error| {
            let message = format!("what is to be sent cannot be written as JSON: {error}");
            Error::new(ErrorKind::BadRequest, message)
        };
        let params = Json::of(params).map_err(unwritable)?;
        let ext = Some(Json::of(ext).map_err(unwritable)?);
        let method = name.to_owned();
        let call = |reply| {
            Control::Call(LinkCall {
                method,
                params,
                ext,
                reply,
            })
        };
        self.ask(call).await?.read().map_err(|error| {
            let message = format!("the answer is not what was expected: {error}");
            Error::new(ErrorKind::Protocol, message)
        })
    }

    async fn ask(&self, control: impl FnOnce(Reply) -> Control) -> Result<Json, Error> {
        let (answer, answered) = oneshot::channel::<Result<Json, ErrorPayload>>();
        let sent = self.control.send(control(Reply::Local(answer)));
        sent.map_err(|_| left())?;
        answered.await.map_err(|_| left())?.map_err(Error::from)
    }
}

fn left() -> Error {
    Error::new(ErrorKind::Closed, "the agent has left")
}

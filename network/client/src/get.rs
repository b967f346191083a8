use std::future::IntoFuture;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use huly_protocol::{GetExt, GetParams, GetRequest};
use serde::Serialize;

use crate::Json;
use crate::client::Client;
use crate::error::Error;
use crate::operation::Operation;
use crate::reference::ContainerRef;

/// A get to be sent: what it asks for, then `.await`.
///
/// ```no_run
/// # async fn example(client: huly_client::Client) -> Result<(), huly_client::Error> {
/// let any_public = client.get("chat-room").labels(["public"]).await?;
/// let new = client.get("session").extra(&serde_json::json!({"user": 7})).new_container().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for until it is awaited"]
pub struct Get {
    client: Client,
    params: GetParams,
    ext: GetExt,
    timeout: Option<Duration>,
    /// An extra that could not be written.
    error: Option<Error>,
}

impl Get {
    pub(crate) fn new(client: Client, kind: String) -> Self {
        Self {
            client,
            params: GetParams {
                kind,
                request: GetRequest::default(),
                huly: None,
            },
            ext: GetExt::default(),
            timeout: None,
            error: None,
        }
    }

    /// The container of this uuid, started if it does not live.
    pub fn uuid(mut self, uuid: impl Into<String>) -> Self {
        self.params.request.uuid = Some(uuid.into());
        self
    }

    /// Container labels that it must have.
    pub fn labels<T: Into<String>>(mut self, labels: impl IntoIterator<Item = T>) -> Self {
        self.params.request.labels = Some(labels.into_iter().map(Into::into).collect());
        self
    }

    /// What is handed to the container at its start.
    pub fn extra<T: Serialize + ?Sized>(mut self, extra: &T) -> Self {
        match Json::of(extra) {
            Ok(extra) => self.params.request.extra = Some(extra),
            Err(error) => self.error = Some(Error::unwritable(&error)),
        }
        self
    }

    /// The same of JSON text.
    pub fn extra_json(mut self, extra: Json) -> Self {
        self.params.request.extra = Some(extra);
        self
    }

    /// Never reuse a container: make a new one. Without a uuid only.
    pub fn new_container(mut self) -> Self {
        self.ext.new = true;
        self
    }

    /// The uuid was made a moment ago, so nobody can know it: a server that has just restarted
    /// need not wait for one that lives already.
    pub fn fresh(mut self) -> Self {
        self.ext.fresh = true;
        self
    }

    /// A uuid that lives under another kind is an error.
    pub fn strict(mut self) -> Self {
        self.ext.strict = true;
        self
    }

    /// The reference outlives silence and the server. Needs the control secret.
    pub fn durable(mut self) -> Self {
        self.ext.durable = true;
        self
    }

    /// The agent that the container is to start on, if it does not live yet. One that lives is got
    /// where it does, and one that is placed again goes to any agent.
    pub fn on_agent(mut self, agent: impl Into<String>) -> Self {
        self.ext.agent = Some(agent.into());
        self
    }

    /// How long it may take.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Get {
    type Output = Result<ContainerRef, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move {
            if let Some(error) = self.error {
                return Err(error.of(Operation::Get));
            }
            if self.ext != GetExt::default() {
                self.params.huly = Some(self.ext);
            }
            let getting = self.client.inner.handle.get(self.params, self.timeout);
            let hold = self.client.during(Operation::Get, getting).await?;
            Ok(ContainerRef::new(self.client, hold))
        }
        .boxed()
    }
}

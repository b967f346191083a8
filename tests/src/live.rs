//! What lives in a network, as its server says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_client::{Client, Error, RequestOptions};
use huly_protocol::{AgentInfo, ContainerRecord, Epoch, Json};
use serde_json::Value;
use tokio::time::timeout;

use crate::eventually::eventually;

/// A client of the network that holds nothing.
#[derive(Debug, Clone)]
pub struct Live {
    client: Client,
}

impl Live {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let client = Client::builder(address).build();
        timeout(Duration::from_secs(10), client.ready())
            .await
            .context("the network server does not answer")?;
        Ok(Self { client })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The agents.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn agents(&self) -> Result<Vec<AgentInfo>> {
        Ok(self.client.agents().await?)
    }

    /// The container of a uuid, if it lives.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn container(&self, uuid: &str) -> Result<Option<ContainerRecord>> {
        let mut containers = self.client.containers(None).await?;
        containers.retain(|container| container.uuid == uuid);
        ensure!(
            containers.len() <= 1,
            "{uuid} is listed twice: {containers:?}"
        );
        Ok(containers.pop())
    }

    /// Its epoch: another one after each placement.
    ///
    /// # Errors
    /// When it does not live, or has none.
    pub async fn epoch(&self, uuid: &str) -> Result<Epoch> {
        let container = self.container(uuid).await?;
        let container = container.with_context(|| format!("{uuid} does not live"))?;
        let epoch = container.huly.and_then(|more| more.epoch);
        epoch.with_context(|| format!("{uuid} has no epoch"))
    }

    /// The same as a claim's status says it: `TERM.N`.
    ///
    /// # Errors
    /// As [`Live::epoch`].
    pub async fn epoch_text(&self, uuid: &str) -> Result<String> {
        let epoch = self.epoch(uuid).await?;
        Ok(format!("{}.{}", epoch.term, epoch.n))
    }

    /// How many references there are to it.
    ///
    /// # Errors
    /// When it does not live, or the server does not say.
    pub async fn references(&self, uuid: &str) -> Result<u32> {
        let container = self.container(uuid).await?;
        let container = container.with_context(|| format!("{uuid} does not live"))?;
        let references = container.huly.and_then(|more| more.references);
        references.context("the server does not say how many references there are")
    }

    /// Waits until the container of a uuid is gone.
    ///
    /// # Errors
    /// When it lives at the deadline.
    pub async fn until_gone(&self, uuid: &str, deadline: Duration) -> Result<()> {
        eventually(deadline, &format!("{uuid} is ended"), async || {
            let container = self.container(uuid).await?;
            ensure!(container.is_none(), "{container:?}");
            Ok(())
        })
        .await
    }

    /// Waits until everything of a kind that nobody holds had the time to idle out: until a
    /// container of the kind, got and released now, is ended.
    ///
    /// # Errors
    /// When that container lives at the deadline.
    pub async fn idle_out(&self, kind: &str, deadline: Duration) -> Result<()> {
        let clock = self.client.get(kind).new_container().await?;
        let uuid = clock.uuid().to_owned();
        clock.release().await?;
        self.until_gone(&uuid, deadline).await
    }

    /// Sends a container a request.
    ///
    /// # Errors
    /// The container's own, or the network's.
    pub async fn ask(
        &self,
        uuid: &str,
        operation: &str,
        data: &Value,
        deadline: Duration,
    ) -> Result<Value, Error> {
        let unreadable = |error: serde_json::Error| {
            Error::new(huly_client::ErrorKind::Protocol, error.to_string())
        };
        let data = Json::of(data).map_err(unreadable)?;
        let answer = self
            .client
            .request_json(
                uuid,
                operation,
                data,
                RequestOptions {
                    timeout: Some(deadline),
                    ..RequestOptions::default()
                },
            )
            .await?;
        answer.read().map_err(unreadable)
    }

    /// Adds to a counter and says its value.
    ///
    /// # Errors
    /// When it does not answer within 10 s.
    pub async fn increment(&self, uuid: &str, by: u64) -> Result<u64> {
        let data = serde_json::json!({ "by": by });
        self.counter(uuid, "increment", &data).await
    }

    /// The value of a counter.
    ///
    /// # Errors
    /// When it does not answer within 10 s.
    pub async fn value(&self, uuid: &str) -> Result<u64> {
        self.counter(uuid, "value", &Value::Null).await
    }

    async fn counter(&self, uuid: &str, operation: &str, data: &Value) -> Result<u64> {
        let answer = self
            .ask(uuid, operation, data, Duration::from_secs(10))
            .await?;
        answer["value"]
            .as_u64()
            .with_context(|| format!("{operation} of {uuid} answered {answer}"))
    }
}

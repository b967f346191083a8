use std::sync::Arc;

use huly_protocol::Placement;
use huly_session::Location;
use huly_session::direct::ContainerRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Json;
use crate::chain::CallChain;
use crate::client::{Client, RequestOptions};
use crate::error::Error;
use crate::handle::Hold;
use crate::operation::Operation;
use crate::request::{Request, Way};

/// A container that this client holds. Clones are the same handle; when the last is dropped, it is
/// given back, and with a container's last handle the reference is released.
///
/// The container may move to another agent meanwhile: the handle follows it.
#[derive(Debug, Clone)]
pub struct ContainerRef {
    pub(crate) client: Client,
    hold: Arc<Hold>,
}

impl ContainerRef {
    pub(crate) fn new(client: Client, hold: Hold) -> Self {
        Self {
            client,
            hold: Arc::new(hold),
        }
    }

    /// The container.
    pub fn uuid(&self) -> &str {
        &self.hold.uuid
    }

    /// Its endpoint text, as it is now.
    pub fn endpoint(&self) -> String {
        self.hold.location.borrow().endpoint.clone()
    }

    /// Where it lives now; an original server does not say it.
    pub fn placement(&self) -> Option<Placement> {
        self.hold.location.borrow().placement.clone()
    }

    /// Whether it ended and nothing replaced it.
    pub fn is_gone(&self) -> bool {
        self.hold.location.borrow().gone
    }

    /// A request to the life of the container that is known.
    pub(crate) fn asked(
        &self,
        operation: &str,
        data: Json,
        options: RequestOptions,
    ) -> ContainerRequest {
        ContainerRequest {
            timeout: options.timeout,
            idempotent: options.idempotent,
            chain: CallChain::current().chain(),
            epoch: self.hold.location.borrow().epoch(),
            ..ContainerRequest::new(self.uuid(), operation, data)
        }
    }

    pub(crate) fn location(&self) -> watch::Receiver<Location> {
        self.hold.location.clone()
    }

    /// Sends a request to the container: await the builder.
    ///
    /// # Errors
    /// The container's own, and those of the way there.
    pub fn request<'a, T: Serialize + ?Sized, R: DeserializeOwned>(
        &'a self,
        operation: &'a str,
        data: &T,
    ) -> Request<'a, R> {
        Request::new(Way::Reference(self), operation, data)
    }

    /// The same of JSON text.
    ///
    /// # Errors
    /// As of [`request`](Self::request).
    pub async fn request_json(&self, operation: &str, data: Json) -> Result<Json, Error> {
        self.request_with(operation, data, RequestOptions::default())
            .await
    }

    /// The same, sent as the options say.
    ///
    /// # Errors
    /// As of [`request`](Self::request).
    pub async fn request_with(
        &self,
        operation: &str,
        data: Json,
        options: RequestOptions,
    ) -> Result<Json, Error> {
        let asking = self.client.routed(self.asked(operation, data, options));
        self.client.during(Operation::Request, asking).await
    }

    /// Gives the handle back and waits until the server knows. If there are clones, the last of
    /// them does.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn release(self) -> Result<(), Error> {
        let Ok(mut hold) = Arc::try_unwrap(self.hold) else {
            return Ok(());
        };
        hold.disarm();
        let uuid = std::mem::take(&mut hold.uuid);
        self.client.release_in_time(uuid, false).await
    }
}

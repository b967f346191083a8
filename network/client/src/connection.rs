use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use huly_protocol::{Endpoint, method};
use huly_session::{Call, Location};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::Json;
use crate::chain::CallChain;
use crate::client::{Client, RequestOptions, container_call};
use crate::direct::{DirectLink, Fanout, Subscription};
use crate::error::{Error, ErrorKind};
use crate::operation::Operation;
use crate::reference::ContainerRef;
use crate::request::{self, Request};

/// Between two attempts to have a container's events sent.
const RETRY: Duration = Duration::from_millis(250);

/// A direct connection to a container: requests do not pass through the network server, and the
/// container's events come.
///
/// It follows the container to another agent. While there is no direct way, requests take the one
/// through the network server; a request whose connection is cut goes that way under the same id,
/// by which a Rust agent knows it, and with its epoch: it runs once, or, where the container was
/// placed again meanwhile, fails with `OutcomeUnknown`.
///
/// ```no_run
/// # async fn example(room: huly_client::ContainerRef) -> Result<(), huly_client::Error> {
/// use futures::StreamExt;
///
/// let connection = room.connect().await?;
/// let mut events = connection.events();
/// let members: Vec<String> = connection.request("members", &()).await?;
/// while let Some(event) = events.next().await {
///     println!("{event}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connection {
    container: ContainerRef,
    way: watch::Receiver<Way>,
    events: Arc<Fanout>,
    follower: AbortHandle,
}

impl ContainerRef {
    /// Connects to the container directly, wherever it lives by then.
    ///
    /// # Errors
    /// `NotAllowed` if it takes no direct connections; when its agent does not answer in time.
    pub async fn connect(&self) -> Result<Connection, Error> {
        self.client
            .during(Operation::Connect, self.connect_now())
            .await
    }

    async fn connect_now(&self) -> Result<Connection, Error> {
        let mut location = self.location();
        let at = location.borrow_and_update().clone();
        if !at.gone && link_to(&self.client, &at).is_none() {
            let message = format!("container {} takes no direct connections", self.uuid());
            return Err(Error::new(ErrorKind::NotAllowed, message));
        }
        let events = Arc::new(Fanout::default());
        let (current, mut way) = watch::channel(Way::Closed);
        let follower = Follower {
            client: self.client.clone(),
            uuid: self.uuid().to_owned(),
            events: events.clone(),
            at,
            location,
            current,
        };
        // Dropped on the way out, it ends its follower.
        let connection = Connection {
            container: self.clone(),
            way: way.clone(),
            events,
            follower: tokio::spawn(follower.run()).abort_handle(),
        };
        let patience = self.client.inner.config.request_timeout;
        let decided = way.wait_for(|way| !matches!(way, Way::Closed));
        match tokio::time::timeout(patience, decided).await {
            Err(_) => {
                let message = "the container's agent could not be reached directly in time";
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
            Ok(Err(_)) => return Err(Error::closed()),
            Ok(Ok(way)) => {
                if let Way::Refused(error) = &*way {
                    return Err(error.clone());
                }
            }
        }
        Ok(connection)
    }
}

/// How the container is reached directly.
#[derive(Debug, Clone)]
enum Way {
    /// Not now.
    Closed,
    /// Over this.
    Open(Arc<Subscription>),
    /// Its agent does not want it, and will not.
    Refused(Error),
}

fn link_to(client: &Client, location: &Location) -> Option<Arc<DirectLink>> {
    if location.gone {
        return None;
    }
    let endpoint = Endpoint::parse(&location.endpoint).ok()?;
    let inner = &client.inner;
    inner.pool.link(&inner.config, &inner.ground, &endpoint)
}

/// Follows a container from agent to agent.
struct Follower {
    client: Client,
    uuid: String,
    events: Arc<Fanout>,
    at: Location,
    location: watch::Receiver<Location>,
    current: watch::Sender<Way>,
}

impl Follower {
    async fn run(mut self) {
        self.connect().await;
        // An error means that the reference is gone.
        while self.location.changed().await.is_ok() {
            let at = self.location.borrow_and_update().clone();
            if at.endpoint == self.at.endpoint && at.gone == self.at.gone {
                continue;
            }
            self.at = at;
            self.current.send_replace(Way::Closed);
            self.connect().await;
        }
        self.current.send_replace(Way::Closed);
    }

    /// Connects to where the container is now, until it is done or the container moves on.
    async fn connect(&mut self) {
        while let Some(link) = link_to(&self.client, &self.at) {
            let beginning = Subscription::begin(link, &self.uuid, self.events.clone());
            let begun = tokio::select! {
                biased;
                begun = beginning => begun,
                moved = self.location.changed() => {
                    if moved.is_err() {
                        return;
                    }
                    self.at = self.location.borrow_and_update().clone();
                    continue;
                }
            };
            match begun {
                Ok(subscription) => {
                    self.current.send_replace(Way::Open(Arc::new(subscription)));
                    return;
                }
                Err(error) if is_final(&error) => {
                    self.current.send_replace(Way::Refused(error));
                    return;
                }
                Err(error) => {
                    tracing::debug!(uuid = self.uuid, %error, "no direct connection yet");
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(RETRY) => {}
                moved = self.location.changed() => {
                    if moved.is_err() {
                        return;
                    }
                    self.at = self.location.borrow_and_update().clone();
                }
            }
        }
    }
}

impl Connection {
    /// The container.
    pub fn container(&self) -> &ContainerRef {
        &self.container
    }

    /// Whether requests take the direct way now.
    pub fn is_direct(&self) -> bool {
        self.direct().is_some()
    }

    fn direct(&self) -> Option<Arc<Subscription>> {
        match &*self.way.borrow() {
            Way::Open(subscription) if subscription.link.is_up() => Some(subscription.clone()),
            _ => None,
        }
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
        Request::new(request::Way::Connection(self), operation, data)
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
        let asking = self.ask(operation, data, options);
        let client = &self.container.client;
        client.during(Operation::Request, asking).await
    }

    async fn ask(
        &self,
        operation: &str,
        data: Json,
        options: RequestOptions,
    ) -> Result<Json, Error> {
        let began = Instant::now();
        let client = &self.container.client;
        let timeout = options
            .timeout
            .unwrap_or(client.inner.config.request_timeout);
        let uuid = self.container.uuid();
        // On both routes the same, so that an agent that got it knows it again.
        let id = client.request_id();
        let mut life = self.container.life();
        if let Some(subscription) = self.direct() {
            let link = &subscription.link;
            let number = link.handle.number();
            let call = match link.of_agent {
                true => {
                    let params = container_call(uuid, operation, &data)?;
                    Call::new(number, method::CONTAINER_REQUEST, params)
                }
                false => Call::new(number, operation.to_owned(), data.clone()),
            };
            let call = Call {
                id: Some(id.clone()),
                timeout: Some(timeout),
                fail_when_cut: true,
                idempotent: options.idempotent,
                epoch: life.epoch,
                chain: CallChain::current().into_inner(),
                ..call
            };
            match link.handle.call(call).await {
                Err(error) if takes_the_other_way(&error) => {
                    tracing::debug!(uuid, %error, "the request goes through the network server");
                    life.sent_before = error.kind == ErrorKind::Interrupted;
                }
                result => return result,
            }
        }
        let options = RequestOptions {
            timeout: Some(timeout.saturating_sub(began.elapsed())),
            ..options
        };
        client
            .routed(Some(id), uuid, operation, &data, options, life)
            .await
    }

    /// The container's events, from now on; the first stream begins with what came since the
    /// connection was made, at most the last 64 of it. What is not read is kept in memory. The
    /// stream ends with the connection.
    pub fn events(&self) -> impl Stream<Item = Json> + Send + Unpin + use<> {
        UnboundedReceiverStream::new(self.events.listen())
    }

    /// Ends it; requests can still be sent through the reference. Dropping does the same.
    pub async fn close(self) {
        drop(self);
    }
}

/// Whether an agent's refusal will not change by itself.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotAllowed | ErrorKind::BadRequest | ErrorKind::Protocol
    )
}

/// Whether a failed direct request did not run at that agent, or the network server may know more.
fn takes_the_other_way(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Interrupted | ErrorKind::Gone | ErrorKind::NoSuchContainer | ErrorKind::Closed
    )
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.follower.abort();
        self.events.end();
    }
}

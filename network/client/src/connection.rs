use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use huly_protocol::Epoch;
use huly_session::Location;
use huly_session::direct::{
    ContainerRequest, DirectWay, FollowEffect, FollowInput, Follower, Setback,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::Json;
use crate::client::{Client, RequestOptions};
use crate::direct::{Fanout, Subscription};
use crate::error::{Error, ErrorKind};
use crate::operation::Operation;
use crate::reference::ContainerRef;
use crate::request::{self, Request};

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
        if !at.gone && DirectWay::to(&at).is_none() {
            let message = format!("container {} takes no direct connections", self.uuid());
            return Err(Error::new(ErrorKind::NotAllowed, message));
        }
        let events = Arc::new(Fanout::default());
        let (current, mut way) = watch::channel(Way::Closed);
        let mut begin = Vec::new();
        let following = Following {
            client: self.client.clone(),
            uuid: self.uuid().to_owned(),
            events: events.clone(),
            follower: Follower::new(at, &mut begin),
            location,
            current,
            beginning: None,
        };
        // Dropped on the way out, it ends its follower.
        let connection = Connection {
            container: self.clone(),
            way: way.clone(),
            events,
            follower: tokio::spawn(following.run(begin)).abort_handle(),
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
    /// Over this, to that life of it.
    Open(Arc<Subscription>, Option<Epoch>),
    /// Its agent does not want it, and will not.
    Refused(Error),
}

/// Follows a container from agent to agent: drives the pure follower.
struct Following {
    client: Client,
    uuid: String,
    events: Arc<Fanout>,
    follower: Follower,
    location: watch::Receiver<Location>,
    current: watch::Sender<Way>,
    /// The attempt that goes on.
    beginning: Option<Beginning>,
}

type Beginning = BoxFuture<'static, (u64, Result<Subscription, Error>)>;

impl Following {
    async fn run(mut self, begin: Vec<FollowEffect>) {
        let began = Instant::now();
        self.follow(begin);
        loop {
            let wake = self.follower.next_wake().map(|at| began + at);
            let input = tokio::select! {
                biased;
                (attempt, begun) = begun(&mut self.beginning) => self.begun(attempt, begun),
                moved = self.location.changed() => {
                    // An error means that the reference is gone.
                    if moved.is_err() {
                        break;
                    }
                    FollowInput::Moved(Box::new(self.location.borrow_and_update().clone()))
                }
                () = sleep_until(wake) => FollowInput::Wake,
            };
            let mut effects = Vec::new();
            self.follower.handle(began.elapsed(), input, &mut effects);
            self.follow(effects);
        }
        self.current.send_replace(Way::Closed);
    }

    /// What came of an attempt: what it brought is there before the follower knows of it.
    fn begun(&mut self, attempt: u64, begun: Result<Subscription, Error>) -> FollowInput {
        self.beginning = None;
        let result = match begun {
            Ok(subscription) => {
                let way = Way::Open(Arc::new(subscription), self.follower.life());
                self.current.send_replace(way);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(uuid = self.uuid, %error, "no direct connection yet");
                let setback = setback(&error);
                if setback == Setback::Refused {
                    self.current.send_replace(Way::Refused(error));
                }
                Err(setback)
            }
        };
        FollowInput::Begun { attempt, result }
    }

    fn follow(&mut self, effects: Vec<FollowEffect>) {
        for effect in effects {
            match effect {
                FollowEffect::Close => {
                    self.beginning = None;
                    self.current.send_replace(Way::Closed);
                }
                FollowEffect::Begin { attempt, way } => {
                    let inner = &self.client.inner;
                    let link = inner.pool.link(&inner.config, &inner.ground, way);
                    let (uuid, events) = (self.uuid.clone(), self.events.clone());
                    let beginning =
                        async move { (attempt, Subscription::begin(link, &uuid, events).await) };
                    self.beginning = Some(beginning.boxed());
                }
                // It was said together with what came of the attempt.
                FollowEffect::Open | FollowEffect::Refuse => {}
            }
        }
    }
}

async fn begun(beginning: &mut Option<Beginning>) -> (u64, Result<Subscription, Error>) {
    match beginning {
        Some(beginning) => beginning.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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

    fn direct(&self) -> Option<(Arc<Subscription>, Option<Epoch>)> {
        match &*self.way.borrow() {
            Way::Open(subscription, life) if subscription.link.is_up() => {
                Some((subscription.clone(), *life))
            }
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
        let timeout = options.timeout;
        let mut request = ContainerRequest {
            id: Some(client.request_id()),
            timeout: Some(timeout.unwrap_or(client.inner.config.request_timeout)),
            ..self.container.asked(operation, data, options)
        };
        if let Some((subscription, life)) = self.direct() {
            // The reference may know of a later one already.
            request.epoch = life;
            let link = &subscription.link;
            let call = request.direct(link.handle.number(), link.of_agent);
            let call = call.map_err(|error| Error::unwritable(&error))?;
            match link.handle.call(call).await {
                Err(error) if request.goes_on(setback(&error), began.elapsed()) => {
                    let uuid = &request.uuid;
                    tracing::debug!(uuid, %error, "the request goes through the network server");
                }
                result => return result,
            }
        }
        client.routed(request).await
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

/// What an error of the direct route means for what follows.
fn setback(error: &Error) -> Setback {
    match error.kind {
        ErrorKind::Interrupted | ErrorKind::Closed => Setback::Interrupted,
        ErrorKind::Gone | ErrorKind::NoSuchContainer => Setback::NotThere,
        ErrorKind::NotAllowed | ErrorKind::BadRequest | ErrorKind::Protocol => Setback::Refused,
        _ => Setback::Other,
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.follower.abort();
        self.events.end();
    }
}

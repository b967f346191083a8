use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Json;
use crate::chain::CallChain;
use crate::client::{Client, RequestOptions};
use crate::connection::Connection;
use crate::error::{During, Error};
use crate::operation::Operation;
use crate::reference::ContainerRef;

/// A request to be sent: how, then `.await`. The answer is read as an `R`.
///
/// ```no_run
/// # async fn example(counter: huly_client::ContainerRef) -> Result<(), huly_client::Error> {
/// use std::time::Duration;
///
/// let sum: u64 = counter
///     .request("value", &())
///     .deadline(Duration::from_secs(2))
///     .idempotent()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Request<'a, R> {
    way: Way<'a>,
    operation: &'a str,
    data: Result<Json, Error>,
    options: RequestOptions,
    /// Who waits for it where it was made.
    chain: CallChain,
    answer: PhantomData<fn() -> R>,
}

/// By which way a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Through the network server, to whatever container has the uuid.
    Uuid(&'a Client, &'a str),
    /// Through the network server.
    Reference(&'a ContainerRef),
    /// Directly where that is possible.
    Connection(&'a Connection),
}

impl<'a, R> Request<'a, R> {
    pub(crate) fn new<T: Serialize + ?Sized>(way: Way<'a>, operation: &'a str, data: &T) -> Self {
        Self {
            way,
            operation,
            data: Json::of(data).map_err(|error| Error::unwritable(&error)),
            options: RequestOptions::default(),
            chain: CallChain::current(),
            answer: PhantomData,
        }
    }

    /// How long it may take; the client's own request time-out unless told.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// It may run more than once: see [`RequestOptions::idempotent`].
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }
}

impl<'a, R: DeserializeOwned + 'a> IntoFuture for Request<'a, R> {
    type Output = Result<R, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            way,
            operation,
            data,
            options,
            chain,
            ..
        } = self;
        let asking = async move {
            let data = data.during(Operation::Request)?;
            let answer = match way {
                Way::Uuid(client, uuid) => {
                    client.request_json(uuid, operation, data, options).await
                }
                Way::Reference(to) => to.request_with(operation, data, options).await,
                Way::Connection(to) => to.request_with(operation, data, options).await,
            }?;
            let what = "the container's answer is not of the expected shape";
            answer
                .read()
                .map_err(|error| Error::protocol(what, &error))
                .during(Operation::Request)
        };
        chain.scope(asking).boxed()
    }
}

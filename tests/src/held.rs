//! A container that a client holds, asked through the network server or past it.

use anyhow::{Result, ensure};
use huly_client::{Client, Connection, ContainerRef, Error, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::eventually::{SOON, eventually};

/// By which way a client asks a container that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the network server.
    Routed,
    /// Past it.
    Direct,
}

/// A container that a client holds, and the way to it.
#[derive(Debug)]
pub enum Held {
    /// Through the network server.
    Routed(ContainerRef),
    /// Past it.
    Direct(Connection),
}

impl Held {
    /// Gets a container; directly once that is reached.
    ///
    /// # Errors
    /// When there is none, or it is not reached directly.
    pub async fn get(client: &Client, kind: &str, uuid: &str, way: Way) -> Result<Self> {
        let held = client.get(kind).uuid(uuid).await?;
        if way == Way::Routed {
            return Ok(Self::Routed(held));
        }
        let connection = held.connect().await?;
        eventually(SOON, "the container is reached directly", async || {
            ensure!(connection.is_direct(), "{uuid} is not");
            Ok(())
        })
        .await?;
        Ok(Self::Direct(connection))
    }

    /// The container.
    pub fn container(&self) -> &ContainerRef {
        match self {
            Self::Routed(held) => held,
            Self::Direct(connection) => connection.container(),
        }
    }

    /// A request to it, by the way.
    pub fn request<'a, T, R>(&'a self, operation: &'a str, data: &T) -> Request<'a, R>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        match self {
            Self::Routed(held) => held.request(operation, data),
            Self::Direct(connection) => connection.request(operation, data),
        }
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// When the network server does not answer.
    pub async fn release(self) -> Result<(), Error> {
        let held = self.container().clone();
        if let Self::Direct(connection) = self {
            connection.close().await;
        }
        held.release().await
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::container::{Container, ContainerContext, ContainerError, DynContainer};

pub(crate) type Made = BoxFuture<'static, Result<Arc<dyn DynContainer>, ContainerError>>;
pub(crate) type Factory = Arc<dyn Fn(ContainerContext) -> Made + Send + Sync>;

/// The container kinds that an agent can host, each with how one is made.
#[derive(Clone, Default)]
pub struct Kinds {
    factories: BTreeMap<String, Factory>,
    /// Those whose containers have a ROUTER of their own.
    own_routers: BTreeSet<String>,
}

impl Kinds {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind. `make` is called for each container and may take until the kind's start
    /// timeout; requests wait for it.
    #[must_use]
    pub fn serve<C, F, M>(mut self, kind: impl Into<String>, make: M) -> Self
    where
        C: Container,
        F: Future<Output = Result<C, ContainerError>> + Send + 'static,
        M: Fn(ContainerContext) -> F + Send + Sync + 'static,
    {
        let factory: Factory = Arc::new(move |context| {
            let made = make(context);
            Box::pin(async move {
                let container: Arc<dyn DynContainer> = Arc::new(made.await?);
                Ok(container)
            })
        });
        let kind = kind.into();
        self.own_routers.remove(&kind);
        self.factories.insert(kind, factory);
        self
    }

    /// Adds a kind whose containers listen themselves: each has a ROUTER of its own, on a free port
    /// of the address that the agent listens on, and clients that connect to it send it requests
    /// and get its events over a connection that it shares with no other container. Who is there is
    /// connected. Through the network server it is reached as well.
    ///
    /// A container costs a TCP port and a file descriptor more then, and each of its clients a
    /// connection; clients must reach every port of the agent's host. What is called often, or
    /// sends much, may be worth it: the agent's own ROUTER serves all other containers at once.
    #[must_use]
    pub fn serve_direct<C, F, M>(mut self, kind: impl Into<String>, make: M) -> Self
    where
        C: Container,
        F: Future<Output = Result<C, ContainerError>> + Send + 'static,
        M: Fn(ContainerContext) -> F + Send + Sync + 'static,
    {
        let kind = kind.into();
        self = self.serve(kind.clone(), make);
        self.own_routers.insert(kind);
        self
    }

    pub(crate) fn has_own_router(&self, kind: &str) -> bool {
        self.own_routers.contains(kind)
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    pub(crate) fn factory(&self, kind: &str) -> Option<Factory> {
        self.factories.get(kind).cloned()
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}

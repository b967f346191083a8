use std::collections::BTreeMap;
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
        self.factories.insert(kind.into(), factory);
        self
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

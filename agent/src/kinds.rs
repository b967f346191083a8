use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::container::{Container, ContainerContext, ContainerError, DynContainer};
use crate::core::{AgentUpdate, Ended};

pub(crate) type Made = BoxFuture<'static, Result<Arc<dyn DynContainer>, ContainerError>>;
pub(crate) type Factory = Arc<dyn Fn(ContainerContext) -> Made + Send + Sync>;

type Hook = Arc<dyn Fn(Ended) + Send + Sync>;

/// The container kinds that an agent can host, each with how one is made.
#[derive(Clone, Default)]
pub struct Kinds {
    factories: BTreeMap<String, Factory>,
    /// Those whose containers have a ROUTER of their own.
    own_routers: BTreeSet<String>,
    /// By uuid the kind and how one is made.
    stateless: BTreeMap<String, (String, Factory)>,
    ended: Option<Hook>,
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
        let kind = kind.into();
        self.own_routers.remove(&kind);
        self.factories.insert(kind, factory(make));
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
    ///
    /// The kind's [`stateless`](Self::stateless) containers listen themselves too.
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

    /// Adds a container that is made beforehand, under a uuid that is the same on every agent. One
    /// agent has the uuid; the others' containers stand by, and one of those has it next. It is
    /// told so: see [`Container::activated`].
    ///
    /// `make` is called as the agent starts, and again when the container has ended. The kind is not
    /// one of those that the agent hosts others of: for that, [`serve`](Self::serve) it too. With a
    /// ROUTER of its own it is only where [`serve_direct`](Self::serve_direct) adds its kind, so the
    /// agent hosts others of the kind then.
    ///
    /// ```
    /// # use huly_agent::{Activation, Call, Container, ContainerError, Json, Kinds, answer};
    /// # use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    /// #[derive(Default)]
    /// struct Leader {
    ///     leads: AtomicBool,
    /// }
    ///
    /// impl Container for Leader {
    ///     async fn activated(&self, _: Activation) -> Result<(), ContainerError> {
    ///         self.leads.store(true, Relaxed);
    ///         Ok(())
    ///     }
    ///     async fn request(&self, _: Call) -> Result<Json, ContainerError> {
    ///         answer(&self.leads.load(Relaxed))
    ///     }
    /// }
    ///
    /// let kinds = Kinds::new().stateless("service", "leader", |_| async { Ok(Leader::default()) });
    /// ```
    #[must_use]
    pub fn stateless<C, F, M>(
        mut self,
        kind: impl Into<String>,
        uuid: impl Into<String>,
        make: M,
    ) -> Self
    where
        C: Container,
        F: Future<Output = Result<C, ContainerError>> + Send + 'static,
        M: Fn(ContainerContext) -> F + Send + Sync + 'static,
    {
        let made = (kind.into(), factory(make));
        self.stateless.insert(uuid.into(), made);
        self
    }

    /// Has a function called after each end of a container, of whatever kind and for whatever
    /// reason: to count them, to free what belongs to the uuid. It is called on a thread
    /// of its own, one end after the other, and may block for a while; a panic in it is logged.
    ///
    /// What a container itself frees belongs in its [`Container::stop`] and its `Drop`.
    #[must_use]
    pub fn on_ended(mut self, hook: impl Fn(Ended) + Send + Sync + 'static) -> Self {
        self.ended = Some(Arc::new(hook));
        self
    }

    /// Runs the hook until what is returned is dropped and all was told.
    pub(crate) fn hook(
        &self,
        workers: &Handle,
    ) -> Option<(mpsc::UnboundedSender<AgentUpdate>, JoinHandle<()>)> {
        let hook = self.ended.clone()?;
        let (sender, mut updates) = mpsc::unbounded_channel();
        let task = workers.spawn(async move {
            while let Some(update) = updates.recv().await {
                let AgentUpdate::Ended(ended) = update else {
                    continue;
                };
                let hook = hook.clone();
                // Threads of its own kind, for it may block.
                let called = tokio::task::spawn_blocking(move || hook(ended));
                if called.await.is_err() {
                    tracing::error!("a hook for the ends of containers panicked");
                }
            }
        });
        Some((sender, task))
    }

    pub(crate) fn has_own_router(&self, kind: &str) -> bool {
        self.own_routers.contains(kind)
    }

    /// The uuids of what is made beforehand, each with its kind.
    pub(crate) fn stateless_uuids(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.stateless.iter();
        all.map(|(uuid, (kind, _))| (uuid.as_str(), kind.as_str()))
    }

    /// How the container of a uuid is made.
    pub(crate) fn factory_of(&self, kind: &str, uuid: &str) -> Option<Factory> {
        match self.stateless.get(uuid) {
            Some((of, factory)) if of == kind => Some(factory.clone()),
            _ => self.factory(kind),
        }
    }

    /// The names of the kinds that are served, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// The names of all kinds of which there may be containers.
    pub(crate) fn hosted(&self) -> impl Iterator<Item = &str> {
        let beforehand = self.stateless_uuids().map(|(_, kind)| kind);
        self.names().chain(beforehand)
    }

    pub(crate) fn factory(&self, kind: &str) -> Option<Factory> {
        self.factories.get(kind).cloned()
    }
}

fn factory<C, F, M>(make: M) -> Factory
where
    C: Container,
    F: Future<Output = Result<C, ContainerError>> + Send + 'static,
    M: Fn(ContainerContext) -> F + Send + Sync + 'static,
{
    Arc::new(move |context| {
        let made = make(context);
        Box::pin(async move {
            let container: Arc<dyn DynContainer> = Arc::new(made.await?);
            Ok(container)
        })
    })
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hosted()).finish()
    }
}

//! Which containers wait for what is called from here.

use huly_protocol::Chain;

tokio::task_local! {
    static CURRENT: Chain;
}

/// The containers that wait for what this task calls: the one whose request it handles, and those
/// that wait for that one.
///
/// Requests of the client crate carry it, so that a serial container that waits for one is not asked
/// for what it can never do: such a request fails with [`ErrorKind::Reentrant`](crate::ErrorKind).
/// It belongs to a task: what a container has run by a plain `tokio::spawn` or a thread is without
/// one, unless it is taken along:
///
/// ```no_run
/// # async fn example(other: huly_client::ContainerRef) {
/// use huly_client::CallChain;
///
/// let chain = CallChain::current();
/// tokio::spawn(chain.scope(async move {
///     let answer: Result<u64, _> = other.request("value", &()).await;
///     # drop(answer);
/// }));
/// # }
/// ```
///
/// The other way round, for work that nobody waits for, `CallChain::default().scope(work)` calls as
/// if no container did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallChain(Chain);

impl CallChain {
    /// That of the present task; empty where no container's request is handled.
    pub fn current() -> Self {
        Self(CURRENT.try_with(Chain::clone).unwrap_or_default())
    }

    /// What a container calls while it handles a request that came with that chain; for agents.
    pub fn of(chain: Chain) -> Self {
        Self(chain)
    }

    /// Runs a future that calls with this chain.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self.0, work)
    }

    /// The uuids of the containers that wait, the one that calls first.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(container, _)| container)
    }

    /// What is said of it on the wire.
    pub fn into_inner(self) -> Chain {
        self.0
    }
}

//! Which containers wait for what is called from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use huly_protocol::Chain;

tokio::task_local! {
    static CURRENT: CallChain;
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
#[derive(Debug, Clone, Default)]
pub struct CallChain(Option<Arc<Handling>>);

/// A request that a container handles.
#[derive(Debug)]
struct Handling {
    /// Who waits for it.
    chain: Chain,
    container: Arc<str>,
    request: u64,
    answered: AtomicBool,
}

impl CallChain {
    /// That of the present task; empty where no container's request is handled, or it has its answer:
    /// nobody waits for what is called then.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    /// That of a container while it handles a request, which came with the chain of those who wait
    /// for it and has that number at the container's agent. For agents.
    pub fn of(chain: Chain, container: Arc<str>, request: u64) -> Self {
        Self(Some(Arc::new(Handling {
            chain,
            container,
            request,
            answered: AtomicBool::new(false),
        })))
    }

    /// The request has its answer: what is called from now on, nobody waits for. For agents.
    pub fn answered(&self) {
        if let Some(handling) = &self.0 {
            handling.answered.store(true, Ordering::Release);
        }
    }

    /// Runs a future that calls with this chain.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The uuids of the containers that wait, the one that calls first.
    pub fn containers(&self) -> Vec<String> {
        let chain = self.chain();
        chain.iter().map(|(uuid, _)| uuid.to_owned()).collect()
    }

    /// What is said of it on the wire.
    pub fn chain(&self) -> Chain {
        match &self.0 {
            Some(handling) if !handling.answered.load(Ordering::Acquire) => handling
                .chain
                .then(handling.container.clone(), handling.request),
            _ => Chain::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_belongs_to_its_task_until_the_request_has_its_answer() {
        assert!(CallChain::current().containers().is_empty());
        let first = CallChain::of(Chain::default(), "a".into(), 1);
        let second = CallChain::of(first.chain(), "b".into(), 2);
        let within = second.clone().scope(async {
            let lost = tokio::spawn(async { CallChain::current().containers() });
            assert!(lost.await.unwrap().is_empty());
            let taken = CallChain::current().scope(async { CallChain::current().containers() });
            assert_eq!(tokio::spawn(taken).await.unwrap(), ["b", "a"]);
            second.answered();
            CallChain::current().containers()
        });
        assert!(within.await.is_empty());
        assert_eq!(first.containers(), ["a"]);
    }
}

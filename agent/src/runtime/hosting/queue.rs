//! How many requests were handed to containers that have not begun with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Those of all containers.
#[derive(Debug, Default, Clone)]
pub(super) struct Queues(Arc<AtomicUsize>);

impl Queues {
    pub(super) fn waiting(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// That of another container.
    pub(super) fn of_container(&self) -> Arc<Queue> {
        Arc::new(Queue {
            waiting: AtomicUsize::new(0),
            all: self.clone(),
        })
    }
}

/// Those of one container. When it is gone, none wait for it.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    all: Queues,
}

impl Queue {
    /// Hands over one.
    pub(super) fn come(&self) {
        self.waiting.fetch_add(1, Relaxed);
        self.all.0.fetch_add(1, Relaxed);
    }

    /// One has begun, or was refused.
    pub(super) fn left(&self) {
        self.waiting.fetch_sub(1, Relaxed);
        self.all.0.fetch_sub(1, Relaxed);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let left = self.waiting.load(Relaxed);
        self.all.0.fetch_sub(left, Relaxed);
    }
}

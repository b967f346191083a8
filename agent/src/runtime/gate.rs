//! The lease as the workers see it.
//!
//! The core checks the lease before it hands a request over, but a request may then lie in a
//! container's queue while the whole process is paused. So the workers look once more, right before
//! a request begins: at whether the core closed the gate, and at when the agent's thread was awake
//! last, for after a pause a worker may run before that thread does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use huly_client::boot_clock;
use tokio::sync::watch;

/// The agent's thread's side.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    open: watch::Sender<bool>,
    awake: Arc<AtomicU64>,
}

/// A worker's side.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    open: watch::Receiver<bool>,
    awake: Arc<AtomicU64>,
    pause: Duration,
}

/// A gate for leases of that length.
pub(crate) fn gate(lease: Duration) -> (Gatekeeper, Gate) {
    let (open, seen) = watch::channel(true);
    let awake = Arc::new(AtomicU64::new(millis(boot_clock())));
    let keeper = Gatekeeper {
        open,
        awake: awake.clone(),
    };
    let gate = Gate {
        open: seen,
        awake,
        // The same gap by which the core tells a pause.
        pause: lease / 2,
    };
    (keeper, gate)
}

impl Gatekeeper {
    /// The thread is awake, and the core has judged the lease.
    pub(crate) fn awake(&self, now: Duration) {
        self.awake.store(millis(now), Ordering::Release);
    }

    pub(crate) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }
}

impl Gate {
    /// Whether a request may begin now.
    pub(crate) fn is_open(&self) -> bool {
        let awake = self.awake.load(Ordering::Acquire);
        let slept = millis(boot_clock()).saturating_sub(awake);
        *self.open.borrow() && u128::from(slept) <= self.pause.as_millis()
    }

    /// Waits until a request may begin.
    pub(crate) async fn opened(&mut self) {
        while !self.is_open() {
            let changed = self.open.changed();
            // The thread's waking is no change of the gate: it is looked for now and then.
            if let Ok(Err(_)) = tokio::time::timeout(self.pause / 2, changed).await {
                // The agent's thread has ended: nothing begins any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

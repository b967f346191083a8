//! The lease as the workers see it.
//!
//! The core checks the lease before it hands a request over, but a request may then lie in a
//! container's queue while the whole process is paused. So the workers look once more, right before
//! a request begins: at whether the core closed the gate, and at when the agent's thread was awake
//! last, for after a pause a worker may run before that thread does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use huly_client::Clock;
use tokio::sync::watch;

use crate::core::mailbox::Moment;

#[derive(Debug, Clone, Copy)]
struct Position {
    open: bool,
    /// How often it was closed: a request that was handed over before a closing is told by it.
    closings: u64,
}

/// The agent's thread's side.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    position: watch::Sender<Position>,
    awake: Arc<AtomicU64>,
}

/// A worker's side.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    position: watch::Receiver<Position>,
    awake: Arc<AtomicU64>,
    clock: Clock,
    pause: Duration,
}

/// A gate for leases of that length by that clock.
pub(crate) fn gate(lease: Duration, clock: Clock) -> (Gatekeeper, Gate) {
    let (position, seen) = watch::channel(Position {
        open: true,
        closings: 0,
    });
    let awake = Arc::new(AtomicU64::new(millis(clock.now())));
    let keeper = Gatekeeper {
        position,
        awake: awake.clone(),
    };
    let gate = Gate {
        position: seen,
        awake,
        clock,
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
        self.position.send_modify(|position| {
            position.open = open;
            position.closings += u64::from(!open);
        });
    }
}

impl Gate {
    /// How often it was closed so far.
    pub(crate) fn closings(&self) -> u64 {
        self.position.borrow().closings
    }

    /// What a container's mailbox judges by: asked right before a request begins.
    pub(crate) fn moment(&self) -> Moment {
        let awake = self.awake.load(Ordering::Acquire);
        let now = self.clock.now();
        let slept = millis(now).saturating_sub(awake);
        let Position { open, closings } = *self.position.borrow();
        Moment {
            now,
            open: open && u128::from(slept) <= self.pause.as_millis(),
            closings,
        }
    }

    /// Waits until then, by the agent's clock.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep_until(self.clock.instant_of(at)).await;
    }

    /// Waits until a request may begin.
    pub(crate) async fn opened(&mut self) {
        while !self.moment().open {
            let changed = self.position.changed();
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

//! Carries what the core says of the lease to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use huly_client::Clock;
use huly_protocol::lease;
use tokio::sync::watch;

use crate::core;
use crate::core::mailbox::Moment;
use crate::core::{Permit, Sight};

/// The agent's thread's side.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    gate: watch::Sender<core::Gate>,
    awake: Arc<AtomicU64>,
}

/// A worker's side; each container has its own permit.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    gate: watch::Receiver<core::Gate>,
    awake: Arc<AtomicU64>,
    permit: Arc<AtomicU8>,
    clock: Clock,
}

/// A gate by that clock.
pub(crate) fn gate(clock: Clock) -> (Gatekeeper, Gate) {
    let (gate, seen) = watch::channel(core::Gate::NEW);
    let awake = Arc::new(AtomicU64::new(millis(clock.now())));
    let keeper = Gatekeeper {
        gate,
        awake: awake.clone(),
    };
    let gate = Gate {
        gate: seen,
        awake,
        permit: Arc::default(),
        clock,
    };
    (keeper, gate)
}

impl Gatekeeper {
    /// The thread is awake, and the core has judged the lease.
    pub(crate) fn awake(&self, now: Duration) {
        self.awake.store(millis(now), Ordering::Release);
    }

    /// Returns what it was before.
    pub(crate) fn set(&self, gate: core::Gate) -> core::Gate {
        self.gate.send_replace(gate)
    }

    /// For good: nothing begins any more, of any kind.
    pub(crate) fn close(&self) {
        self.gate.send_modify(|gate| {
            gate.open = false;
            gate.closings += 1;
        });
    }

    /// A permit has changed: whoever waits looks again.
    pub(crate) fn remind(&self) {
        self.gate.send_modify(|_| {});
    }
}

impl Gate {
    /// One with a permit of its own, for a container that starts.
    pub(crate) fn of_container(&self) -> Self {
        Self {
            permit: Arc::default(),
            ..self.clone()
        }
    }

    pub(crate) fn set_permit(&self, permit: Permit) {
        self.permit.store(number(permit), Ordering::Release);
    }

    /// How often it was closed so far.
    pub(crate) fn closings(&self) -> u64 {
        self.gate.borrow().closings
    }

    /// What a container's mailbox judges by: asked right before a request begins.
    pub(crate) fn moment(&self) -> Moment {
        let sight = Sight {
            gate: *self.gate.borrow(),
            awake: Duration::from_millis(self.awake.load(Ordering::Acquire)),
        };
        let permit = self.permit();
        // The clock last: what was seen before it is not newer than what it shows.
        sight.moment(permit, self.clock.now())
    }

    /// Waits until then, by the agent's clock.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep_until(self.clock.instant_of(at)).await;
    }

    /// Waits until a request may begin.
    pub(crate) async fn opened(&mut self) {
        while !self.moment().open {
            let again = lease::pause(self.gate.borrow().length) / 2;
            let changed = self.gate.changed();
            // The thread's waking is no change of the gate: it is looked for now and then.
            if let Ok(Err(_)) = tokio::time::timeout(again, changed).await {
                // The agent's thread has ended: nothing begins any more.
                std::future::pending::<()>().await;
            }
        }
    }

    fn permit(&self) -> Permit {
        let permits = [Permit::Always, Permit::Leased];
        let seen = self.permit.load(Ordering::Acquire);
        let known = permits.into_iter().find(|permit| number(*permit) == seen);
        known.unwrap_or(Permit::Never)
    }
}

fn number(permit: Permit) -> u8 {
    match permit {
        Permit::Always => 0,
        Permit::Leased => 1,
        Permit::Never => 2,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

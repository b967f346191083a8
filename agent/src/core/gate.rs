//! What workers go by: the agent's lease as they see it.
//!
//! The core checks the lease before it hands a request over, but a request may then lie in a
//! container's queue while the whole process is paused, or while its worker is busy. So the workers
//! look once more, right before a request begins.

use std::time::Duration;

use huly_protocol::lease;

use super::mailbox::Moment;

/// Whether a container may begin with requests that it was handed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Permit {
    /// Whenever the agent may.
    #[default]
    Always,
    /// It is of an exclusive kind: while the agent has its lease.
    Leased,
    /// It is of an exclusive kind and is being ended, or the server has not said yet in this session
    /// that it is this agent's.
    Never,
}

/// The agent's lease, as its thread last judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Not after a pause that outlasted the lease: then nothing begins, of any kind.
    pub open: bool,
    /// How often it was closed, or the lease was lost: what was handed over before that may be
    /// followed by the container's end, though the gate is open again.
    pub closings: u64,
    /// Until when the lease lasts, by the boot clock; none before the server has said that the agent
    /// is registered in its session.
    pub leased_until: Option<Duration>,
    /// How long leases are, as the server said last.
    pub length: Duration,
}

impl Gate {
    /// That of an agent that has never had a lease.
    pub const NEW: Self = Self {
        open: true,
        closings: 0,
        leased_until: None,
        length: lease::DEFAULT,
    };

    /// Whether a container may begin with a request now.
    pub fn admits(&self, permit: Permit, now: Duration) -> bool {
        self.open
            && match permit {
                Permit::Always => true,
                Permit::Leased => self.leased_until.is_some_and(|until| now < until),
                Permit::Never => false,
            }
    }
}

/// What a worker sees.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// The gate.
    pub gate: Gate,
    /// When the agent's thread was awake last: after a pause a worker may run before it does.
    pub awake: Duration,
}

impl Sight {
    /// What a container's mailbox judges by.
    pub fn moment(&self, permit: Permit, now: Duration) -> Moment {
        let slept = now.saturating_sub(self.awake);
        let awake = slept <= lease::pause(self.gate.length);
        Moment {
            now,
            open: awake && self.gate.admits(permit, now),
            closings: self.gate.closings,
        }
    }
}

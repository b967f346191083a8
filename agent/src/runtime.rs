//! The native runtime: the agent's thread with its sockets, lease and core, and the workers on
//! which containers run.

mod doors;
mod gate;
mod hosting;
mod link;
mod metrics;
mod router;
mod serving;
mod thread;
mod watchdog;

#[cfg(test)]
mod tests;

#[cfg(feature = "testing")]
pub(crate) use doors::{Doors, Place};
#[cfg(feature = "testing")]
pub(crate) use link::Link;
pub(crate) use link::{LinkCall, Reply};
pub(crate) use metrics::Metrics;
#[cfg(feature = "testing")]
pub(crate) use router::Router;
pub(crate) use serving::{Control, State};
#[cfg(feature = "testing")]
pub(crate) use thread::Parts;
pub(crate) use thread::{LinkTo, Settings, run};
#[cfg(feature = "testing")]
pub(crate) use watchdog::Watch;

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
pub(crate) use gate::{Gatekeeper, gate};
#[cfg(feature = "testing")]
pub(crate) use hosting::Hosting;
pub(crate) use link::{LinkCall, Reply};
pub(crate) use metrics::Metrics;
pub(crate) use serving::{Control, State};
pub(crate) use thread::{LinkTo, Settings, run};
#[cfg(feature = "testing")]
pub(crate) use watchdog::Watch;

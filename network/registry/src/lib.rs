//! Who lives where and why: the pure core of the network server.
//!
//! [`Registry::handle`] takes what happened (a message, a closed connection, a wake-up) at a given
//! time and returns what is to be done (messages to send). There are no sockets, no clock and no
//! randomness inside, so the same code runs in production, in tests and in simulations. The rules
//! are those of docs/protocol.md.

mod admission;
mod agents;
mod answers;
mod asked;
mod calls;
mod chunks;
mod config;
mod control;
mod drive;
mod entry;
mod failover;
mod feed;
mod fence;
mod get;
mod held;
mod hello;
mod pick;
mod place;
mod reassert;
mod recent;
mod references;
mod refused;
mod registration;
mod registry;
mod requests;
mod rivals;
mod routed;
mod session;
mod silence;
mod sizes;
mod snapshot;
mod standby;
mod stats;
mod stopping;
mod timer;

pub use config::Config;
pub use registry::{ConnId, Effect, Input, Now, Registry};
pub use requests::METHODS;
pub use sizes::Sizes;
pub use stats::{Counted, Snapshot};

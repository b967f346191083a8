//! The pure core of a peer's session with a network server, or with an agent's ROUTER.
//!
//! [`Session::handle`] takes what happened and says what is to be done. There are no sockets, no
//! clock and no randomness inside: time comes with each input, a seed at construction. So one code
//! runs in the client, in tests and in simulations.
//!
//! The rules are those of docs/protocol.md: hello at each new connection, pings with a number that
//! the pong repeats, pending requests sent again under the same ids, references asserted again in
//! bulk when the server's session is a fresh one, a deadline for every call.

mod answers;
mod backcall;
mod calls;
mod config;
mod connect;
pub mod direct;
mod feed;
mod hello;
mod io;
mod jitter;
mod life;
mod pending;
mod queue;
mod reassert;
mod references;
mod regain;
pub mod registration;
mod session;
mod unserved;

pub use config::{Config, Peer};
pub use io::{Call, CallError, Effect, FeedUpdate, Input, StopReason, Token};
pub use references::Location;
pub use session::{Counters, Session};

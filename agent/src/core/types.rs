//! What comes into the core and what goes out.

mod effect;
mod input;

use std::sync::Arc;

use bytes::Bytes;

pub use effect::{AgentUpdate, Asked, Effect, Ended, Figures, Observed, Role, Route, Seed};
pub use input::{Audience, EndReport, Input, ServerCall};

/// A uuid, a kind or a client id.
pub type Id = Arc<str>;

/// One life of a container in this process: a report about another life is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u64);

/// A ROUTER that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// The agent's own.
    Agent,
    /// The own one of a container.
    Container(Run),
}

/// A client's connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn {
    /// Where it is.
    pub door: Door,
    /// The ROUTER's name for it.
    pub name: Bytes,
}

/// A request that was or will be handed to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNumber(pub u64);

/// A call of the server that waits for its answer; the driver's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

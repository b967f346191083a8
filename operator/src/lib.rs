//! The operator of the Huly network.
//!
//! It brings ContainerKinds to the network server, holds a container for every ContainerClaim, and
//! writes where it lives. What is to be done is decided by a pure core; a driver around it watches
//! the cluster, talks to the server and writes statuses.

mod args;
mod check;
mod core;
mod documents;
mod driver;
mod election;
mod fact;
mod health;
mod kubernetes;
mod metrics;
mod model;
mod plan;
mod rbac;
mod run;

pub use args::{Args, CheckArgs, Command, Operating, RunArgs};
pub use run::run;

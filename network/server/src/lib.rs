//! The network server: ROUTER → registry → ROUTER, with metrics and health beside it.

#[cfg(feature = "program")]
mod args;
#[cfg(feature = "program")]
mod metrics;
#[cfg(feature = "program")]
mod run;
pub mod serve;

#[cfg(feature = "program")]
pub use args::Args;
#[cfg(feature = "program")]
pub use run::{run, serve_network};

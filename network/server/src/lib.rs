//! The network server: ROUTER → registry → ROUTER, with metrics and health beside it.

mod args;
mod metrics;
mod run;
mod serve;

pub use args::Args;
pub use run::{run, serve};

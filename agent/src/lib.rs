//! Library for agents of the Huly network: host containers written in Rust.
//!
//! ```no_run
//! use huly_agent::{Call, Container, ContainerError, Json, Kinds, answer};
//!
//! struct Greeter;
//!
//! impl Container for Greeter {
//!     async fn request(&self, call: Call) -> Result<Json, ContainerError> {
//!         match call.operation.as_str() {
//!             "greet" => answer(&format!("Hello, {}!", call.read::<String>()?)),
//!             _ => Err(call.unknown(&["greet"])),
//!         }
//!     }
//! }
//!
//! fn main() -> anyhow::Result<()> {
//!     huly_agent::run(Kinds::new().serve("greeter", |_| async { Ok(Greeter) }))
//! }
//! ```
//!
//! With the feature `testing`, a test has agents in a whole network of its own: see `testing`.

mod container;
pub mod core;
mod kinds;
mod options;
mod run;
mod runtime;
#[cfg(feature = "testing")]
pub mod testing;

pub use container::{
    Activation, Broadcaster, Call, Container, ContainerContext, ContainerError, answer,
};
pub use kinds::Kinds;
pub use options::{AgentOptions, HostPort};
pub use run::{AgentHandle, run, run_with};

pub use huly_protocol::{Epoch, ErrorCode, Json};

/// The example of the page about tests is a test.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct TestingPage;

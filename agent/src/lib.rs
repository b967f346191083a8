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
//! fn main() -> std::process::ExitCode {
//!     huly_agent::run(Kinds::new().serve("greeter", |_| async { Ok(Greeter) }))
//! }
//! ```
//!
//! An application may run an agent beside what else it does, and ask it without a way over the
//! network server:
//!
//! ```no_run
//! # use huly_agent::{AgentHandle, AgentOptions, Client, Kinds};
//! # async fn example(kinds: Kinds, options: AgentOptions) -> anyhow::Result<()> {
//! let client = Client::builder("127.0.0.1:3737").build();
//! // Over the client's own session; `AgentHandle::start` makes one.
//! let agent = AgentHandle::serve(&client, options, kinds)?;
//! let greeter = agent.get("greeter").uuid("here").await?;
//! let text: String = agent.request(greeter.uuid(), "greet", "Ada").await?;
//! # println!("{text}");
//! agent.leave().await
//! # }
//! ```
//!
//! With the feature `testing`, a test has agents in a whole network of its own: see `testing`.

mod advertise;
mod container;
pub mod core;
mod health;
mod kinds;
mod local;
mod options;
mod run;
mod runtime;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::core::{AgentUpdate, Ended, Reason as EndReason};
pub use container::{
    Activation, Broadcaster, Call, Container, ContainerContext, ContainerError, answer,
};
pub use kinds::Kinds;
pub use options::{AgentOptions, HostPort};
pub use run::{AgentHandle, run, run_with};

pub use huly_client::{CallChain, Client, Error, ErrorKind};
pub use huly_protocol::{ContainerRecord, Epoch, ErrorCode, Json};

/// The example of the page about tests is a test.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct TestingPage;

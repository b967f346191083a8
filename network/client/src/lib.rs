//! Client of the Huly network: get containers, call them, receive their events.
//!
//! A [`Client`] keeps one session with a network server. It connects by itself, again whenever the
//! connection is lost, and then sends what is unanswered again and asserts what it holds. A
//! [`ContainerRef`] is a handle of a container; while there is one, the network keeps the container
//! alive and places it again should its agent be lost.
//!
//! ```no_run
//! # async fn example() -> Result<(), huly_client::Error> {
//! use huly_client::Client;
//!
//! let client = Client::builder("127.0.0.1:3737").build();
//! let counter = client.get("counter").uuid("visits").await?;
//! let answer: serde_json::Value = counter.request("increment", &()).await?;
//! println!("{answer}");
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `testing`, a test has a whole network of its own, without sockets and by a clock
//! that it moves: see `testing`.

mod agent;
mod builder;
mod chain;
mod client;
mod clock;
mod connection;
mod control;
mod direct;
mod driver;
mod error;
mod flight;
mod get;
mod ground;
mod handle;
mod leave;
mod operation;
mod reference;
mod request;
mod socket;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod updates;

pub use agent::{AgentHandle, AgentLink, BackCall, LinkEvent, Responder};
pub use builder::ClientBuilder;
pub use chain::CallChain;
pub use client::{Client, RequestOptions};
pub use clock::{Clock, boot_clock};
pub use connection::Connection;
pub use error::{Error, ErrorKind};
pub use get::Get;
pub use operation::Operation;
pub use reference::ContainerRef;
pub use request::Request;
pub use state::SessionState;
pub use updates::Update;

pub use huly_protocol::{self as protocol, HelloAnswer, Json, Placement};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are the examples of its documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/client.md")]
struct Guide;

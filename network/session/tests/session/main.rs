//! The session in virtual time, against scripts and against a model of the network server.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod connect;
mod container;
mod feed;
mod lease;
mod model;
mod once;
mod original;
mod reassert;
mod rig;
mod routes;
mod terms;

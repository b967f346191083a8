//! Library for agents of the Huly network: host containers written in Rust.

//! The registry against docs/protocol.md: peers of every kind in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so by a panic"
)]

mod again;
mod arithmetic;
mod calls;
mod capacity;
mod chain;
mod chunks;
mod durable;
mod earlier;
mod ends;
mod events;
mod exclusive;
mod failover;
mod gets;
mod hostile;
mod idle_in_pause;
mod kinds;
mod own_pause;
mod pinned;
mod placement;
mod placement_property;
mod property;
mod reasserted;
mod references;
mod refused;
mod regains;
mod registration;
mod requests;
mod resent;
mod restart;
mod rivals;
mod sessions;
mod slow;
mod snapshot;
mod standby;
mod standby_kinds;
mod standby_property;
mod stopping;
mod support;
mod terms;
mod told_to_end;
mod unheard;
mod unknown_kinds;

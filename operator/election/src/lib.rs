//! Which of the operators of a network leads: who holds its Lease. Pure; whoever uses it reads and
//! writes the Lease.

mod elector;
#[cfg(test)]
mod tests;

pub use self::elector::{Effect, Elector, Input, NotRead, Record, Terms, Why, Write, WriteError};

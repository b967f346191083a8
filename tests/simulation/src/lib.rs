//! The whole network in one thread and in virtual time: the real registry, sessions and agent cores,
//! connections that are cut, delayed and doubled, programs that are killed, paused and started
//! again, all made of a seed; and the laws that hold whatever happens.
//!
//! [`simulate`] runs one seed. The program of this package runs many and tells the story of one
//! that breaks a law.

mod clock;
mod laws;
mod ledger;
mod program;
mod random;
mod run;
mod sabotage;
mod scenario;
mod story;
mod tries;
mod wire;
mod words;
mod world;

pub use laws::{LAWS, Law, SAME, Violation};
pub use run::{Outcome, Telling, same_twice, simulate};
pub use sabotage::Sabotage;

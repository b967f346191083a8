//! What comes into a mailbox and what goes out.

use std::time::Duration;

use huly_protocol::ErrorPayload;

use crate::core::types::{Asked, CallNumber, Id, Seed};

/// What a mailbox judges by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time, by the boot clock.
    pub now: Duration,
    /// Whether a request of the container may begin.
    pub open: bool,
    /// How often the gate was closed until now.
    pub closings: u64,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time went by, the gate opened, or what began has been polled.
    Wake,
    /// All has been taken that was said until the gate opened.
    CaughtUp {
        /// How often the gate had been closed by then.
        closings: u64,
    },
    /// A request was handed over.
    Request {
        /// It.
        asked: Asked,
        /// How often the gate had been closed then.
        closings: u64,
    },
    /// The container is told something.
    Hook(Hook),
    /// It is to say whether it is well.
    Ping {
        /// How long that may take.
        within: Duration,
    },
    /// It is to end.
    Stop,
    /// A request that had begun has its answer.
    Ended,
    /// The container has said whether it is well.
    Pinged,
    /// It cannot have its uuid.
    ActivationFailed,
    /// It has done what it had to before its end.
    Stopped,
}

/// What a container is told beside requests.
#[derive(Debug, Clone)]
pub enum Hook {
    /// It has its uuid.
    Activated(Box<Seed>),
    /// A client connected.
    Connected(Id),
    /// A client left, or is away.
    Disconnected(Id),
}

/// What is to be done, at once and in order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Begin with a request: [`Input::Ended`] when it has its answer, now or later. If it is not
    /// now, [`Input::Wake`] follows.
    Begin(Asked),
    /// Answer a request that does not run.
    Refuse {
        /// Which.
        call: CallNumber,
        /// Why.
        cause: ErrorPayload,
    },
    /// Tell the container.
    Hook(Hook),
    /// Ask it whether it is well: [`Input::Pinged`] when it has said so.
    Ping {
        /// How long it may take.
        within: Duration,
    },
    /// Tell it to end: [`Input::Stopped`] when it has done what it had to.
    Stop,
}

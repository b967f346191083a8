use std::fmt;

/// What was asked for when an [`Error`](crate::Error) came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Getting a container.
    Get,
    /// Giving a reference back.
    Release,
    /// A request to a container, by whatever route.
    Request,
    /// Connecting to a container directly.
    Connect,
    /// Listing agents, kinds or containers.
    List,
    /// Measuring the way to the network server.
    Ping,
    /// Waiting until the network server knows the client.
    Ready,
    /// What needs the control secret: kinds' specifications, the sync of durable references.
    Control,
    /// What an agent says: that it is there, what ended, that it leaves.
    Agent,
    /// A method of the protocol, called as it is.
    Call,
}

impl Operation {
    /// Every operation.
    pub const ALL: &'static [Self] = &[
        Self::Get,
        Self::Release,
        Self::Request,
        Self::Connect,
        Self::List,
        Self::Ping,
        Self::Ready,
        Self::Control,
        Self::Agent,
        Self::Call,
    ];

    /// Whether it may have a container do something: done twice, it may do it twice.
    pub(crate) fn asks_a_container(self) -> bool {
        matches!(self, Self::Request | Self::Call)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Release => "release",
            Self::Request => "request",
            Self::Connect => "connect",
            Self::List => "list",
            Self::Ping => "ping",
            Self::Ready => "waiting for the network server",
            Self::Control => "control call",
            Self::Agent => "serving an agent",
            Self::Call => "call",
        })
    }
}
